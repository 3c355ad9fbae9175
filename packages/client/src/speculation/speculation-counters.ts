import type { SpeculationStatistics } from '@hass-engine/core'
import { ResponseError } from '../errors.js'
import { type MetricSample, parseMetrics } from './prometheus.js'

/** What a server has counted since it started, all requests together. */
export interface SpeculationCounters {
  /** vLLM's counters; absent where it does not speculate. */
  readonly drafts?: number
  readonly draftTokens?: number
  readonly acceptedTokens?: number
  /** By position in the draft, the first one at index 0. */
  readonly acceptedPerPosition?: readonly number[]
  /** SGLang's mean over its last batches, the bonus token included: a gauge, from which nothing can be taken off. */
  readonly recentAcceptanceLength?: number
}

/**
 * Reads a `/metrics` page: `vllm:spec_decode_*` (vllm/v1/spec_decode/metrics.py), summed over engines, with or without
 * the `_total` that Prometheus clients add, and `sglang:spec_accept_length` (srt/metrics/collector.py), averaged over ranks.
 */
export function readSpeculationCounters(page: string): SpeculationCounters {
  const vllm = parseMetrics(page, 'vllm:spec_decode_')
  const drafts = sumOf(vllm, 'num_drafts')
  const draftTokens = sumOf(vllm, 'num_draft_tokens')
  const acceptedTokens = sumOf(vllm, 'num_accepted_tokens')
  const perPosition = positionsOf(vllm)
  const lengths = parseMetrics(page, 'sglang:spec_accept_length').map(({ value }) => value)
  const used = lengths.filter((length) => length > 0)
  return {
    ...(drafts !== undefined && { drafts }),
    ...(draftTokens !== undefined && { draftTokens }),
    ...(acceptedTokens !== undefined && { acceptedTokens }),
    ...(perPosition.length > 0 && { acceptedPerPosition: perPosition }),
    ...(used.length > 0 && { recentAcceptanceLength: used.reduce((sum, length) => sum + length, 0) / used.length }),
  }
}

/**
 * What vLLM speculated between two readings. Everybody's requests count, so it says something of a single request only
 * where that was alone.
 *
 * τ is that of vLLM: 1 + accepted ÷ drafts. Each draft is one verify pass; it emits what was accepted and a bonus token.
 *
 * @returns nothing where nothing was drafted
 * @throws ResponseError if a counter went back: the server was started anew in between
 */
export function speculationBetween(
  before: SpeculationCounters,
  after: SpeculationCounters,
): SpeculationStatistics | undefined {
  const targetCalls = difference(before.drafts, after.drafts)
  if (targetCalls === 0) return undefined
  const accepted = difference(before.acceptedTokens, after.acceptedTokens)
  const emitted = accepted + targetCalls
  const depths = after.acceptedPerPosition?.map((count, index) => ({
    drafted: targetCalls,
    accepted: difference(before.acceptedPerPosition?.[index], count),
  }))
  return {
    drafted: difference(before.draftTokens, after.draftTokens),
    accepted,
    emitted,
    targetCalls,
    acceptanceLength: emitted / targetCalls,
    ...(depths && { depths }),
  }
}

function difference(before = 0, after = 0): number {
  if (after >= before) return after - before
  throw new ResponseError(`A counter went from ${before} to ${after}: the server was started anew in between.`, {
    before,
    after,
  })
}

function named(samples: readonly MetricSample[], name: string): MetricSample[] {
  const full = `vllm:spec_decode_${name}`
  return samples.filter((sample) => sample.name === full || sample.name === `${full}_total`)
}

function sumOf(samples: readonly MetricSample[], name: string): number | undefined {
  const found = named(samples, name)
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
}

/** No draft is longer; a label from a server must not make an array of a billion. */
const maxPositions = 1024

function positionsOf(samples: readonly MetricSample[]): number[] {
  const counts: number[] = []
  for (const { labels, value } of named(samples, 'num_accepted_tokens_per_pos')) {
    const position = Number(labels.get('position') ?? Number.NaN)
    if (!Number.isInteger(position) || position < 0 || position >= maxPositions) continue
    while (counts.length <= position) counts.push(0)
    counts[position]! += value
  }
  return counts
}
