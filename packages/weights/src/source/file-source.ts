import { type FileHandle, open, stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { HassError } from '@hass-engine/core'
import { WeightsError } from '../errors.js'
import { type ByteSource, checkRange } from './byte-source.js'

/** Node reads at most 2^31 - 1 bytes at once. */
const maxReadLength = 2 ** 30

interface FileIdentity {
  readonly dev: bigint
  readonly ino: bigint
  readonly size: bigint
  readonly mtimeNs: bigint
}

/**
 * A file as a source. It is opened for each read and closed again: nothing has to be disposed, a model of hundreds of
 * shards holds no descriptors, and a file that was replaced or changed since is noticed.
 *
 * @throws WeightsError `HASS_ERR_FILE_READ` if it is missing, not readable, or not a regular file
 */
export async function openFileSource(path: string): Promise<ByteSource> {
  const name = basename(path)
  const location = resolve(path)
  // Asked before it is opened: to open a named pipe would wait for a writer.
  const identity = await describingFailure(name, () => stat(location, { bigint: true }))
  if (!identity.isFile()) {
    throw new WeightsError('HASS_ERR_FILE_READ', `${name} is not a regular file.`, { file: name })
  }
  const source: ByteSource = {
    name,
    location,
    size: Number(identity.size),
    async readInto(target, offset) {
      checkRange(source, offset, target.byteLength)
      await describingFailure(name, async () => {
        const handle = await open(location, 'r')
        try {
          checkIdentity(await handle.stat({ bigint: true }), identity, name)
          await fill(handle, target, offset, name)
        } finally {
          await handle.close()
        }
      })
    },
  }
  return source
}

function checkIdentity(found: FileIdentity, expected: FileIdentity, name: string): void {
  const isSame =
    found.ino === expected.ino &&
    found.dev === expected.dev &&
    found.size === expected.size &&
    found.mtimeNs === expected.mtimeNs
  if (isSame) return
  throw new WeightsError(
    'HASS_ERR_FILE_CHANGED',
    `${name} has changed since its header was read (${expected.size} bytes then, ${found.size} now): open it again.`,
    { file: name },
  )
}

async function fill(handle: FileHandle, target: Uint8Array, offset: number, name: string): Promise<void> {
  for (let done = 0; done < target.byteLength; ) {
    const length = Math.min(target.byteLength - done, maxReadLength)
    const { bytesRead } = await handle.read(target, done, length, offset + done)
    /* v8 ignore next 7 -- the size was checked on this handle: only a file cut between the two calls gets here */
    if (bytesRead === 0) {
      throw new WeightsError('HASS_ERR_TRUNCATED', `${name} ended at ${offset + done} while it was read.`, {
        file: name,
        offset: offset + done,
      })
    }
    done += bytesRead
  }
}

async function describingFailure<T>(name: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (HassError.isInstance(error)) throw error
    const { code = 'an unknown failure' } = error as NodeJS.ErrnoException
    throw new WeightsError('HASS_ERR_FILE_READ', `${name} cannot be read: ${code}.`, { file: name, code }, error)
  }
}
