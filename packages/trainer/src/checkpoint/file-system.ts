import * as nodeFiles from 'node:fs/promises'

/** The part of `node:fs/promises` that saving needs: tests let it fail, or die in it. */
export type CheckpointFileSystem = Pick<typeof nodeFiles, 'open' | 'rename' | 'rm' | 'mkdir' | 'readdir'>

export const defaultFileSystem: CheckpointFileSystem = nodeFiles
