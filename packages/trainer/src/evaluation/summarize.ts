import { type AcceptanceCounts, sumAcceptance } from './acceptance.js'
import { type Estimate, estimate } from './estimate.js'

/** Under which conditions a head was measured. */
export interface EvaluationSetting {
  /** What the trees are called. */
  readonly name: string
  readonly temperature: number
  /** Whether candidates were ranked with the target's noise; at temperature 0 there is none. */
  readonly isCoupled: boolean
}

/** What a head achieved under one setting. */
export interface EvaluationRow extends EvaluationSetting {
  readonly prompts: number
  /** τ: emitted tokens per target pass, of all cycles together. */
  readonly acceptanceLength: Estimate
  /** τ of each prompt, and the mean of those: what the published script of HASS reports. */
  readonly acceptanceLengthByPrompt: Estimate
  /** Share of the cycles that accepted at depth d ≥ 1, at index d − 1: of those whose tree went so deep. */
  readonly acceptanceByDepth: readonly number[]
  readonly counts: AcceptanceCounts
}

/** One row of a table from what each prompt gave; prompts whose response needed no cycle tell nothing. */
export function summarizeSetting(setting: EvaluationSetting, counts: readonly AcceptanceCounts[]): EvaluationRow {
  const { name, temperature, isCoupled } = setting
  const measured = counts.filter(({ cycles }) => cycles > 0)
  const total = sumAcceptance(measured)
  return {
    name,
    temperature,
    isCoupled,
    prompts: measured.length,
    acceptanceLength: estimate(measured, (some) => {
      const { emitted, cycles } = sumCycles(some)
      return emitted / cycles
    }),
    acceptanceLengthByPrompt: estimate(
      measured,
      (some) => some.reduce((sum, { emitted, cycles }) => sum + emitted / cycles, 0) / some.length,
    ),
    acceptanceByDepth: total.depths.map(({ drafted, accepted }) => accepted / drafted),
    counts: total,
  }
}

function sumCycles(counts: readonly AcceptanceCounts[]): Pick<AcceptanceCounts, 'emitted' | 'cycles'> {
  let [emitted, cycles] = [0, 0]
  for (const one of counts) {
    emitted += one.emitted
    cycles += one.cycles
  }
  return { emitted, cycles }
}
