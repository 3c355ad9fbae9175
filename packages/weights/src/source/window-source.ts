import type { ByteSource } from './byte-source.js'

/**
 * A source that keeps the last piece that it read: for readers that ask for many small ranges near each other.
 *
 * @param windowLength bytes read at once; longer requests pass through
 */
export function createWindowSource(source: ByteSource, windowLength: number): ByteSource {
  let window = new Uint8Array(0)
  let start = 0
  return {
    name: source.name,
    location: source.location,
    size: source.size,
    async readInto(target, offset) {
      if (target.byteLength > windowLength) return source.readInto(target, offset)
      const isInside = offset >= start && offset + target.byteLength <= start + window.byteLength
      if (!isInside) {
        const fresh = new Uint8Array(Math.max(Math.min(windowLength, source.size - offset), target.byteLength))
        await source.readInto(fresh, offset)
        window = fresh
        start = offset
      }
      target.set(window.subarray(offset - start, offset - start + target.byteLength))
    },
  }
}
