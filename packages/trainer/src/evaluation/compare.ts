import { InvalidArgumentError } from '@hass-engine/core'
import { type AcceptanceCounts, sumAcceptance } from './acceptance.js'
import { type Estimate, estimate } from './estimate.js'

/**
 * How much longer one head's acceptance length is than another's on the same prompts: the ratio of their τ, with an
 * interval over resampled prompts. Pairs stay together, so that what is hard for both heads does not widen it.
 *
 * @param before one count for each prompt
 * @param after of the same prompts, in the same order
 * @throws InvalidArgumentError for lists of different lengths, and for no prompts
 */
export function compareAcceptance(before: readonly AcceptanceCounts[], after: readonly AcceptanceCounts[]): Estimate {
  if (before.length !== after.length) {
    throw new InvalidArgumentError(
      `${before.length} prompts are compared with ${after.length}, expected the same ones.`,
    )
  }
  const pairs = before
    .map((counts, index) => [counts, after[index]!] as const)
    // A response that needed no cycle tells nothing of either head.
    .filter(([one, other]) => one.cycles > 0 && other.cycles > 0)
  if (pairs.length === 0) throw new InvalidArgumentError('There are no prompts to compare.')
  return estimate(
    pairs,
    (some) => acceptanceLength(some.map(([, other]) => other)) / acceptanceLength(some.map(([one]) => one)),
  )
}

function acceptanceLength(counts: readonly AcceptanceCounts[]): number {
  const { emitted, cycles } = sumAcceptance(counts)
  return emitted / cycles
}
