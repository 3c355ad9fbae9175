import { WeightsError } from '../errors.js'

/**
 * Bytes that can be read at any offset: a file, memory, or whatever a caller has.
 *
 * Readers of this package ask for bounded ranges inside `[0, size)` only.
 */
export interface ByteSource {
  /** The name that messages show: a file's name without its folder. */
  readonly name: string
  /** Where the bytes are: a file's full path. */
  readonly location: string
  readonly size: number
  /** Fills the whole of `target` with the bytes from `offset` on, or throws: never fewer bytes, never zeros. */
  readInto(target: Uint8Array, offset: number): Promise<void>
}

/**
 * Reads `[offset, offset + length)`.
 *
 * @throws WeightsError `HASS_ERR_TRUNCATED` if the source ends before, without allocating
 */
export async function readBytes(source: ByteSource, offset: number, length: number): Promise<Uint8Array> {
  checkRange(source, offset, length)
  const target = new Uint8Array(length)
  await source.readInto(target, offset)
  return target
}

/** @throws WeightsError `HASS_ERR_TRUNCATED` if `[offset, offset + length)` is not inside the source */
export function checkRange(source: ByteSource, offset: number, length: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= source.size) return
  throw new WeightsError(
    'HASS_ERR_TRUNCATED',
    `${source.name} has ${source.size} bytes, expected ${length} bytes at offset ${offset}: the file is incomplete, fetch it again.`,
    { file: source.name, size: source.size, offset, length },
  )
}

/** Bytes in memory as a source; they are not copied. */
export function createMemorySource(bytes: Uint8Array, name = 'memory'): ByteSource {
  const source: ByteSource = {
    name,
    location: name,
    size: bytes.byteLength,
    async readInto(target, offset) {
      checkRange(source, offset, target.byteLength)
      target.set(bytes.subarray(offset, offset + target.byteLength))
    },
  }
  return source
}
