import { checkNumber, createNoiseField, InvalidArgumentError } from '@hass-engine/core'

/** A figure with the interval that resampling the questions gives. */
export interface Estimate {
  readonly value: number
  /** Bounds of the 95 % interval; those of `value` itself where there is one question only. */
  readonly low: number
  readonly high: number
}

export interface BootstrapOptions {
  /** Resamples. Defaults to 1000. */
  readonly resamples?: number
  /** Share that the interval covers, between 0 and 1. Defaults to 0.95. */
  readonly level?: number
  /** Same seed, same interval. Defaults to 0. */
  readonly seed?: number
}

export function mean(values: readonly number[]): number {
  return values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0) / values.length
}

/**
 * The value below which a share of the values lies, linear between neighbours (Hyndman and Fan's type 7).
 *
 * @param share 0 to 1
 * @returns NaN where there are no values
 */
export function percentile(values: readonly number[], share: number): number {
  checkNumber(share, 'share', { min: 0, max: 1 })
  const sorted = [...values].sort((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const below = Math.floor(at)
  const [low, high] = [sorted[below], sorted[Math.ceil(at)]]
  return low === undefined || high === undefined ? Number.NaN : low + (at - below) * (high - low)
}

/**
 * A statistic with its percentile bootstrap interval (Efron 1979): groups of questions are resampled with replacement,
 * each within itself, and the statistic is computed anew.
 *
 * @param sizes questions of each group
 * @param statistic of the questions with these indices, `[groups][questions]`; must not depend on their order
 */
export function bootstrap(
  sizes: readonly number[],
  statistic: (indices: readonly Uint32Array[]) => number,
  options: BootstrapOptions = {},
): Estimate {
  const { resamples = 1000, level = 0.95, seed = 0 } = options
  checkNumber(resamples, 'resamples', { min: 1, max: 1e6, isInteger: true })
  checkNumber(level, 'level', { above: 0, below: 1 })
  if (sizes.length === 0 || sizes.some((size) => size < 1)) {
    throw new InvalidArgumentError(`Groups of ${sizes} questions cannot be resampled, expected one or more of each.`)
  }
  const noise = createNoiseField(seed)
  const values: number[] = []
  for (let resample = 0; resample < resamples; resample++) {
    let draw = 0
    const indices = sizes.map((size) =>
      Uint32Array.from({ length: size }, () => Math.floor(noise.uniform(resample, draw++) * size)),
    )
    values.push(statistic(indices))
  }
  const all = sizes.map((size) => Uint32Array.from({ length: size }, (_, i) => i))
  const tail = (1 - level) / 2
  return { value: statistic(all), low: percentile(values, tail), high: percentile(values, 1 - tail) }
}
