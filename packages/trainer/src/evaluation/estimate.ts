import { createNoiseField } from '@hass-engine/core'

/** A figure, and the interval that covers 95 % of those of resampled prompts. */
export interface Estimate {
  readonly value: number
  readonly low: number
  readonly high: number
}

const resamples = 1000

/**
 * A statistic of prompts with its percentile bootstrap interval (Efron 1979): prompts are resampled with replacement,
 * since tokens of one text are no independent draws. The same prompts give the same interval.
 *
 * @param statistic must not depend on the order of the prompts
 */
export function estimate<Prompt>(
  prompts: readonly Prompt[],
  statistic: (prompts: readonly Prompt[]) => number,
): Estimate {
  const noise = createNoiseField(0)
  const values = Array.from({ length: resamples }, (_, resample) =>
    statistic(prompts.map((_, i) => prompts[Math.floor(noise.uniform(resample, i) * prompts.length)]!)),
  ).sort((a, b) => a - b)
  const at = (share: number) => values[Math.round(share * (resamples - 1))]!
  return { value: statistic(prompts), low: at(0.025), high: at(0.975) }
}
