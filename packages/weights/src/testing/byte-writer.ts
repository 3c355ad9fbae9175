/** Appends little-endian values. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = []

  get length(): number {
    return this.#parts.reduce((sum, part) => sum + part.byteLength, 0)
  }

  bytes(bytes: Uint8Array | readonly number[]): this {
    this.#parts.push(Uint8Array.from(bytes))
    return this
  }

  text(text: string): this {
    return this.bytes(new TextEncoder().encode(text))
  }

  uint(value: number | bigint, size: 1 | 2 | 4 | 8): this {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true)
    return this.bytes(bytes.subarray(0, size))
  }

  float32(value: number): this {
    return this.bytes(new Uint8Array(Float32Array.of(value).buffer))
  }

  /** Zeros up to the next multiple. */
  align(multiple: number): this {
    return this.bytes(new Uint8Array((multiple - (this.length % multiple)) % multiple))
  }

  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.length)
    let at = 0
    for (const part of this.#parts) {
      bytes.set(part, at)
      at += part.byteLength
    }
    return bytes
  }
}
