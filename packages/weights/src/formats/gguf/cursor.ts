import { shown, WeightsError } from '../../errors.js'
import { type ByteSource, readBytes } from '../../source/byte-source.js'

/**
 * Metadata and tensor list of the largest vocabularies (262 thousand tokens with their merges) take about 20 MB; a
 * header that wants more than this is a lie told by a sparse file.
 */
const maxHeaderLength = 128 * 2 ** 20
const firstRead = 2 ** 20

/** Asks `parseHeader` for a longer piece of the file. */
class MoreBytesWanted extends Error {
  constructor(readonly end: number) {
    super()
  }
}

/**
 * Runs a synchronous parser over the beginning of a source, with a longer beginning each time it runs out of bytes:
 * metadata is a hundred thousand small values, too many to await each.
 */
export async function parseHeader<T>(source: ByteSource, parse: (cursor: GgufCursor) => T): Promise<T> {
  for (let length = Math.min(firstRead, source.size); ; ) {
    const bytes = await readBytes(source, 0, length)
    try {
      return parse(new GgufCursor(bytes, source))
    } catch (error) {
      if (!(error instanceof MoreBytesWanted)) throw error
      length = Math.min(Math.max(error.end, 4 * length), source.size)
    }
  }
}

/** Reads little-endian values one behind the other; what the file says of lengths is checked against what it has. */
export class GgufCursor {
  position = 0
  readonly #view: DataView
  readonly #text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

  constructor(
    readonly bytes: Uint8Array,
    readonly source: ByteSource,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  uint8 = (): number => this.#view.getUint8(this.take(1))
  int8 = (): number => this.#view.getInt8(this.take(1))
  uint16 = (): number => this.#view.getUint16(this.take(2), true)
  int16 = (): number => this.#view.getInt16(this.take(2), true)
  uint32 = (): number => this.#view.getUint32(this.take(4), true)
  int32 = (): number => this.#view.getInt32(this.take(4), true)
  float32 = (): number => this.#view.getFloat32(this.take(4), true)
  float64 = (): number => this.#view.getFloat64(this.take(8), true)
  uint64 = (): bigint => this.#view.getBigUint64(this.take(8), true)
  int64 = (): bigint => this.#view.getBigInt64(this.take(8), true)

  /**
   * A 64-bit count of things that take at least `minBytes` each: believed only if the file has so many bytes left.
   *
   * @throws WeightsError `HASS_ERR_GGUF_COUNT`
   */
  count(what: string, minBytes: number, max = Number.MAX_SAFE_INTEGER): number {
    const declared = this.uint64()
    const possible = Math.min(Math.floor((this.source.size - this.position) / minBytes), max)
    if (declared <= BigInt(possible)) return Number(declared)
    throw new WeightsError(
      'HASS_ERR_GGUF_COUNT',
      `${this.source.name} declares ${declared} ${what} at offset ${this.position - 8}, expected at most ${possible} in what is left of the file.`,
      { file: this.source.name, offset: this.position - 8, found: declared, max: possible },
    )
  }

  /** A length and so many bytes of UTF-8. */
  string(what: string, maxLength?: number): string {
    const length = this.count(`bytes of ${what}`, 1, maxLength)
    const start = this.take(length)
    try {
      return this.#text.decode(this.bytes.subarray(start, start + length))
    } catch (cause) {
      throw new WeightsError(
        'HASS_ERR_GGUF_FIELD',
        `${this.source.name} has a ${what} at offset ${start} that is not valid UTF-8: ${shown(
          Buffer.from(this.bytes.subarray(start, start + length)).toString('latin1'),
        )}.`,
        { file: this.source.name, offset: start },
        cause,
      )
    }
  }

  private take(length: number): number {
    const start = this.position
    const end = start + length
    if (end > this.source.size) {
      throw new WeightsError(
        'HASS_ERR_TRUNCATED',
        `${this.source.name} has ${this.source.size} bytes and ends inside its header, expected at least ${end}: fetch it again.`,
        { file: this.source.name, size: this.source.size, expected: end },
      )
    }
    if (end > maxHeaderLength) {
      throw new WeightsError(
        'HASS_ERR_GGUF_COUNT',
        `The header of ${this.source.name} passes ${maxHeaderLength} bytes, more than any vocabulary needs.`,
        { file: this.source.name, max: maxHeaderLength },
      )
    }
    if (end > this.bytes.byteLength) throw new MoreBytesWanted(end)
    this.position = end
    return start
  }
}
