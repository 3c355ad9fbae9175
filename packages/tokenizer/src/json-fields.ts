import { TokenizerError } from './errors.js'

export type JsonObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Reads typed fields of an untrusted object; every refusal names the field by its path. */
export class FieldReader {
  constructor(
    private readonly object: JsonObject,
    readonly path: string,
  ) {}

  static of(value: unknown, path: string): FieldReader {
    if (!isObject(value)) throw wrongType(path, value, 'an object')
    return new FieldReader(value, path)
  }

  has(key: string): boolean {
    return Object.hasOwn(this.object, key) && this.object[key] !== null && this.object[key] !== undefined
  }

  value(key: string): unknown {
    return Object.hasOwn(this.object, key) ? (this.object[key] ?? undefined) : undefined
  }

  string(key: string, fallback?: string): string {
    const value = this.value(key) ?? fallback
    if (typeof value !== 'string') throw wrongType(`${this.path}.${key}`, value, 'a string')
    return value
  }

  boolean(key: string, fallback?: boolean): boolean {
    const value = this.value(key) ?? fallback
    if (typeof value !== 'boolean') throw wrongType(`${this.path}.${key}`, value, 'true or false')
    return value
  }

  integer(key: string, bounds: { min: number; max: number; fallback?: number }): number {
    const value = this.value(key) ?? bounds.fallback
    if (typeof value !== 'number' || !Number.isInteger(value) || value < bounds.min || value > bounds.max) {
      throw wrongType(`${this.path}.${key}`, value, `an integer from ${bounds.min} to ${bounds.max}`)
    }
    return value
  }

  array(key: string): readonly unknown[] {
    const value = this.value(key)
    if (!Array.isArray(value)) throw wrongType(`${this.path}.${key}`, value, 'an array')
    return value
  }

  fields(key: string): FieldReader {
    return FieldReader.of(this.value(key), `${this.path}.${key}`)
  }

  entries(): [string, unknown][] {
    return Object.entries(this.object)
  }
}

export function wrongType(path: string, value: unknown, expected: string): TokenizerError {
  return new TokenizerError('format', `The tokenizer field ${path} is ${shown(value)}, expected ${expected}.`, {
    field: path,
    expected,
  })
}

/** Never walks into a value: it may be large, or hold itself. */
function shown(value: unknown): string {
  if (value === undefined) return 'missing'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (isObject(value)) return 'an object'
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : String(value).slice(0, 60)
}

export function unsupported(path: string, found: string, known: readonly string[]): TokenizerError {
  return new TokenizerError(
    'unsupported',
    `The tokenizer's ${path} is ${JSON.stringify(found.slice(0, 60))}; supported are ${known.join(', ')}.`,
    { field: path, found: found.slice(0, 60), known },
  )
}
