import { wrongType } from './json-fields.js'

/** GGUF metadata by key, as a reader of such files gives it. */
export type GgufMetadata = ReadonlyMap<string, unknown> | Readonly<Record<string, unknown>>

/** Reads typed values out of GGUF metadata, whichever of the usual forms numbers and arrays have. */
export class GgufFields {
  constructor(private readonly metadata: GgufMetadata) {}

  value(key: string): unknown {
    if (this.metadata instanceof Map) return this.metadata.get(key)
    return Object.hasOwn(this.metadata, key) ? (this.metadata as Record<string, unknown>)[key] : undefined
  }

  string(key: string): string | undefined {
    const value = this.value(key)
    if (value === undefined || typeof value === 'string') return value
    throw wrongType(key, typeof value, 'a string')
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.value(key) ?? fallback
    if (typeof value === 'boolean') return value
    throw wrongType(key, typeof value, 'true or false')
  }

  id(key: string): number | undefined {
    const value = this.value(key)
    if (value === undefined) return undefined
    const id = typeof value === 'bigint' ? Number(value) : value
    if (typeof id === 'number' && Number.isSafeInteger(id) && id >= 0) return id
    throw wrongType(key, String(value), 'a token id')
  }

  strings(key: string): readonly string[] {
    const value = this.value(key)
    const isValid = Array.isArray(value) && value.every((item) => typeof item === 'string')
    if (isValid) return value as string[]
    throw wrongType(key, value === undefined ? undefined : typeof value, 'an array of strings')
  }

  /** `length` numbers, or undefined if the key is absent. */
  numbers(key: string, length: number): ArrayLike<number> | undefined {
    const value = this.value(key)
    if (value === undefined) return undefined
    const isList = Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))
    if (!isList) throw wrongType(key, typeof value, 'an array of numbers')
    const list = value as ArrayLike<unknown>
    if (list.length !== length) throw wrongType(key, `an array of ${list.length}`, `an array of ${length} numbers`)
    return Array.from(list, (item) => {
      const number = typeof item === 'bigint' ? Number(item) : item
      if (typeof number === 'number' && Number.isFinite(number)) return number
      throw wrongType(key, typeof item, 'an array of numbers')
    })
  }
}
