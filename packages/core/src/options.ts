import { InvalidArgumentError } from './errors.js'

/**
 * Refuses keys that `where` does not know: a misspelt option must not pass in silence.
 *
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT`, naming the key and the known ones
 */
export function checkOptionKeys(options: object, known: readonly string[], where: string): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    throw new InvalidArgumentError(`${where} has no option "${key}"; it knows ${known.join(', ') || 'none'}.`, {
      option: key,
      known,
    })
  }
}

/** What a number must satisfy; bounds are inclusive unless their name says otherwise. */
export interface NumberBounds {
  readonly min?: number
  readonly max?: number
  readonly above?: number
  readonly below?: number
  readonly isInteger?: boolean
}

/**
 * Returns `value` if it is a number within `bounds`; NaN never is.
 *
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT`
 */
export function checkNumber(value: unknown, name: string, bounds: NumberBounds = {}): number {
  const { min = -Infinity, max = Infinity, above = -Infinity, below = Infinity, isInteger = false } = bounds
  const isInside =
    typeof value === 'number' &&
    value >= min &&
    value <= max &&
    (above === -Infinity || value > above) &&
    (below === Infinity || value < below) &&
    (!isInteger || Number.isInteger(value))
  if (isInside) return value as number
  const wanted = [
    isInteger ? 'an integer' : 'a number',
    ...(min !== -Infinity ? [`at least ${min}`] : []),
    ...(above !== -Infinity ? [`above ${above}`] : []),
    ...(max !== Infinity ? [`at most ${max}`] : []),
    ...(below !== Infinity ? [`below ${below}`] : []),
  ].join(', ')
  throw new InvalidArgumentError(`${name} is ${describe(value)}, expected ${wanted}.`, {
    name,
    found: value,
    ...bounds,
  })
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 40))
  return typeof value === 'number' ? String(value) : `${typeof value} ${String(value).slice(0, 40)}`
}
