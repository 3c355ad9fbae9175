import { checkNumber, type NumberBounds } from '@hass-engine/core'
import { shown, WeightsError } from '../errors.js'

type Fields = ReadonlyMap<string, unknown>

/** Sizes and counts beyond this do not occur, and products of a few of them stay exact. */
const maxCount = 2 ** 31 - 1

/** Reads typed fields of a configuration; null counts as absent. */
export class ConfigFields {
  constructor(
    private readonly fields: Fields,
    /** The file's name, for messages. */
    readonly file: string,
  ) {}

  get(key: string): unknown {
    return this.fields.get(key) ?? undefined
  }

  has(key: string): boolean {
    return this.get(key) !== undefined
  }

  /** An integer from 1 on (or `min`); the default if absent, an error if there is no default. */
  count(key: string, fallback?: number, min = 1, max = maxCount): number {
    return this.number(key, fallback, { min, max, isInteger: true })
  }

  number(key: string, fallback: number | undefined, bounds: NumberBounds): number {
    const value = this.get(key)
    if (value === undefined && fallback !== undefined) return fallback
    try {
      return checkNumber(value, key, bounds)
    } catch (cause) {
      return this.refuse(key, (cause as Error).message, cause)
    }
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.get(key) ?? fallback
    return typeof value === 'boolean'
      ? value
      : this.refuse(key, `${key} is ${shown(String(value))}, expected true or false.`)
  }

  text<T extends string>(key: string, fallback: T, known: readonly T[]): T {
    const value = this.get(key) ?? fallback
    if (known.includes(value as T)) return value as T
    return this.refuse(
      key,
      `${key} is ${shown(String(value))}, expected ${known.map((name) => `"${name}"`).join(' or ')}.`,
    )
  }

  /** One token id or a list of them. */
  tokens(key: string): number[] {
    const value = this.get(key) ?? []
    const ids = Array.isArray(value) ? value : [value]
    const isValid = ids.every((id) => Number.isSafeInteger(id) && id >= 0)
    return isValid ? ids : this.refuse(key, `${key} is ${shown(String(value))}, expected token ids.`)
  }

  object(key: string): ConfigFields | undefined {
    const value = this.get(key)
    if (value === undefined) return undefined
    return value instanceof Map
      ? new ConfigFields(value, this.file)
      : this.refuse(key, `${key} is ${shown(String(value))}, expected an object.`)
  }

  refuse(key: string, message: string, cause?: unknown): never {
    throw new WeightsError('HASS_ERR_MODEL_CONFIG', `${this.file}: ${message}`, { file: this.file, field: key }, cause)
  }
}
