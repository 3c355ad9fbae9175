import { crc32 } from 'node:zlib'
import { shown, WeightsError } from '../../errors.js'
import type { ByteSource } from '../../source/byte-source.js'

/** Where a storage's bytes lie in the file. */
export interface StorageLocation {
  readonly name: string
  readonly offset: number
  readonly byteLength: number
  /** Absent in the legacy layout, which has no checksums. */
  readonly crc32?: number
}

const verifyChunk = 4 * 2 ** 20

/** Reads parts of a storage, of which nothing is given out before the checksum of the whole was right. */
export class StorageBytes {
  #verified: Promise<void> | undefined

  constructor(
    private readonly source: ByteSource,
    readonly location: StorageLocation,
  ) {}

  /** Fills `target` with the bytes from `start`, counted from the storage's beginning. */
  async readInto(target: Uint8Array, start: number): Promise<void> {
    const { offset, byteLength } = this.location
    const isWhole = target.byteLength === byteLength
    if (!isWhole) {
      this.#verified ??= this.#verify()
      await this.#verified
    }
    await this.source.readInto(target, offset + start)
    if (isWhole) this.#check(crc32(target))
  }

  async #verify(): Promise<void> {
    const { offset, byteLength, crc32: expected } = this.location
    if (expected === undefined) return
    const buffer = new Uint8Array(Math.min(verifyChunk, byteLength))
    let checksum = 0
    for (let done = 0; done < byteLength; done += buffer.byteLength) {
      const chunk = buffer.subarray(0, Math.min(buffer.byteLength, byteLength - done))
      await this.source.readInto(chunk, offset + done)
      checksum = crc32(chunk, checksum)
    }
    this.#check(checksum)
  }

  #check(found: number): void {
    const { name, crc32: expected } = this.location
    if (expected === undefined || found === expected) return
    throw new WeightsError(
      'HASS_ERR_CHECKSUM',
      `${shown(name)} in ${this.source.name} has the checksum ${found}, expected ${expected}: the file is damaged, fetch it again.`,
      { file: this.source.name, name, found, expected },
    )
  }
}
