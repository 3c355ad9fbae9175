import { randomBytes } from 'node:crypto'
import * as nodeFiles from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { HassError } from '@hass-engine/core'
import { WeightsError } from '../errors.js'

/** The part of `node:fs/promises` that writing needs: tests let it fail. */
export type FileSystem = Pick<typeof nodeFiles, 'open' | 'rename' | 'rm'>

/** Appends bytes to the file that is being written. */
export type Append = (bytes: Uint8Array) => Promise<void>

export interface FileToWrite {
  readonly path: string
  write(append: Append): Promise<void>
}

/**
 * Writes files so that a path never holds half of one: to temporary names beside them, synced, then renamed in order,
 * then their folder synced. All are complete on disk before the first is renamed.
 *
 * @param files all of one folder
 * @throws WeightsError `HASS_ERR_NO_SPACE`, `HASS_ERR_FILE_WRITE`; then the temporary files are gone, and no path
 * that was not renamed yet has changed
 */
export async function writeAtomically(
  files: readonly FileToWrite[],
  fileSystem: FileSystem = nodeFiles,
): Promise<void> {
  const temporaries: string[] = []
  try {
    for (const file of files) {
      const temporary = `${file.path}.${randomBytes(6).toString('hex')}.tmp`
      temporaries.push(temporary)
      await writeSynced(temporary, file, fileSystem)
    }
    for (const [index, file] of files.entries()) await fileSystem.rename(temporaries[index]!, file.path)
    for (const folder of new Set(files.map(({ path }) => dirname(path)))) await syncFolder(folder, fileSystem)
  } catch (error) {
    // The failure that matters is the first one.
    await Promise.allSettled(temporaries.map((temporary) => fileSystem.rm(temporary, { force: true })))
    throw describeFailure(error, files)
  }
}

async function writeSynced(temporary: string, file: FileToWrite, fileSystem: FileSystem): Promise<void> {
  const handle = await fileSystem.open(temporary, 'wx')
  try {
    await file.write(async (bytes) => {
      for (let done = 0; done < bytes.byteLength; ) {
        const { bytesWritten } = await handle.write(bytes, done, Math.min(bytes.byteLength - done, 2 ** 30))
        done += bytesWritten
      }
    })
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A rename is on disk once its folder is. */
async function syncFolder(folder: string, fileSystem: FileSystem): Promise<void> {
  /* v8 ignore next -- Windows cannot open folders; there, a rename is journaled */
  if (process.platform === 'win32') return
  const handle = await fileSystem.open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function describeFailure(error: unknown, files: readonly FileToWrite[]): unknown {
  const { code } = error as NodeJS.ErrnoException
  // A failure of what is written (a source that cannot be read, an aborted signal) is not one of writing.
  if (HassError.isInstance(error) || typeof code !== 'string') return error
  const names = files.map(({ path }) => basename(path))
  const isFull = code === 'ENOSPC' || code === 'EDQUOT'
  return new WeightsError(
    isFull ? 'HASS_ERR_NO_SPACE' : 'HASS_ERR_FILE_WRITE',
    `${names.join(', ')} could not be written: ${code}. ${isFull ? 'Free some space and try again; what' : 'What'} was there before is unchanged.`,
    { files: names, code },
    error,
  )
}
