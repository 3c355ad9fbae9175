import type { SpeculationStatistics } from '@hass-engine/core'
import { arrayField, countField, type JsonObject, numberField, refuse } from '../wire/json.js'

/**
 * Speculation as SGLang's `meta_info` tells it, under the names of several versions (srt/managers/tokenizer_manager.py,
 * `_calculate_spec_decoding_metrics`; later `fill_spec_decoding_meta`).
 *
 * τ is that of SGLang: completion tokens ÷ verify passes. The token that the prefill emitted is among them, as it is
 * not in `emitted`, nor in τ of a local engine. Counts that a version does not tell are NaN.
 *
 * @returns nothing where the server does not speculate, or has not verified anything
 */
export function readSglangSpeculation(meta: JsonObject): SpeculationStatistics | undefined {
  const targetCalls = countField(meta, 'spec_verify_ct')
  const completionTokens = countField(meta, 'completion_tokens')
  if (targetCalls === undefined || targetCalls === 0 || completionTokens === undefined) return undefined
  const steps = histogramOf(meta)
  const accepted =
    firstCount(meta, ['spec_num_correct_drafts', 'spec_accepted_drafts', 'spec_accept_token_num']) ??
    steps?.reduce((sum, count, length) => sum + count * length, 0) ??
    Number.NaN
  return {
    drafted:
      firstCount(meta, ['spec_num_proposed_drafts', 'spec_proposed_drafts', 'spec_draft_token_num']) ??
      fromRate(accepted, numberField(meta, 'spec_accept_rate')),
    accepted,
    emitted: Math.max(0, completionTokens - 1),
    targetCalls,
    acceptanceLength: numberField(meta, 'spec_accept_length') || completionTokens / targetCalls,
    ...(steps && { depths: depthsOf(steps) }),
  }
}

function firstCount(meta: JsonObject, names: readonly string[]): number | undefined {
  for (const name of names) {
    const count = countField(meta, name)
    if (count !== undefined) return count
  }
  return undefined
}

/** Proposals where only the share of accepted ones is told. */
function fromRate(accepted: number, rate: number | undefined): number {
  return rate !== undefined && rate > 0 ? Math.round(accepted / rate) : Number.NaN
}

/** `[length]`: verify passes that accepted so many drafts. */
function histogramOf(meta: JsonObject): number[] | undefined {
  const counts = arrayField(meta, 'spec_correct_drafts_histogram') ?? arrayField(meta, 'spec_accept_histogram')
  return counts?.map((count) =>
    Number.isSafeInteger(count) && (count as number) >= 0 ? (count as number) : refuse('histogram', 'counts', count),
  )
}

/** A pass that accepted n drafts accepted at every depth up to n; every tree is taken to reach all of them. */
function depthsOf(steps: readonly number[]): { drafted: number; accepted: number }[] {
  const drafted = steps.reduce((sum, count) => sum + count, 0)
  let accepted = drafted
  return steps.slice(1).map((_, index) => {
    accepted -= steps[index]!
    return { drafted, accepted }
  })
}
