import type { DraftTree, Verdict } from '@hass-engine/core'
import { targetModelCases } from '@hass-engine/core/test'
import { dynamicTree } from '@hass-engine/draft-tree'
import { Speculation } from '@hass-engine/engine'
import { createSampler, createTargetChooser, exactMatch, recursiveRejection } from '@hass-engine/sampler'
import { describe, expect, it } from 'vitest'
import { goldenPath, listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { loadHead, loadTarget } from './load.js'
import { createOwnDraft } from './own-draft.js'
import { createOwnTarget } from './own-target.js'
import { rankCandidates } from './rank-candidates.js'

interface TraceCycle {
  readonly committed_length: number
  readonly root: number
  readonly draft_tokens: number[]
  readonly parents: number[]
  readonly cumulative_log_prob: number[]
  readonly accepted_nodes: number[]
  readonly next_root: number
  readonly decisions?: { readonly u: number }[]
  readonly next_root_u?: number
}

interface Trace {
  readonly target: string
  readonly head: string
  readonly temperature: number
  readonly sampling_top_p?: number
  readonly sampling_top_k?: number
  readonly top_k: number
  readonly depth: number
  readonly nodes: number
  readonly prompt: number[]
  readonly first?: { readonly token: number; readonly u: number }
  readonly output: number[]
  readonly last_root_not_in_output: number
  readonly cycles: TraceCycle[]
}

const traces = new Map<string, Trace>(
  listGolden('traces', /\.json$/).map((name) => [name, readGoldenJson('traces', name)]),
)

/**
 * Sequences that reproduce traces of one head and tree: the recorded uniforms are the only randomness. A greedy
 * trace has none, and needs none: its distributions are certain.
 */
async function prepare(traces: readonly Trace[]) {
  const { target, head, top_k: topK, depth, nodes: maxNodes } = traces[0]!
  const { model, weights } = await loadTarget(goldenPath('models', target))
  const uniforms = traces.map((trace) => [...(trace.first ? [trace.first.u] : []), ...trace.cycles.flatMap(drawsOf)])
  // Trees are verified one after the other, each after its sequence was asked for its choices.
  let verified = 0
  const random = () => uniforms[verified]!.shift() ?? (traces[verified]!.temperature === 0 ? 0.5 : Number.NaN)
  const speculation = new Speculation({
    target: createOwnTarget(weights),
    draft: createOwnDraft(weights, await loadHead(goldenPath('heads', head), model), rankCandidates),
    policy: dynamicTree({ topK, depth, maxNodes }),
    verifier: traces.every(({ temperature }) => temperature === 0) ? exactMatch() : recursiveRejection({ random }),
  })
  const sequences = traces.map((trace, i) => {
    const sampler = createSampler({
      temperature: trace.temperature,
      ...(trace.sampling_top_k && { topK: trace.sampling_top_k }),
      ...(trace.sampling_top_p && { topP: trace.sampling_top_p }),
      order: ['temperature', 'topP', 'topK'],
    })
    return speculation.createSequence({
      tokens: trace.prompt,
      choices(pass) {
        verified = i
        return createTargetChooser({ sampler, ...pass })
      },
    })
  })
  return { speculation, sequences, uniforms }
}

function drawsOf({ decisions = [], next_root_u }: TraceCycle): number[] {
  return [...decisions.map(({ u }) => u), ...(next_root_u === undefined ? [] : [next_root_u])]
}

function expectCycle(found: { tree: DraftTree; verdict: Verdict }, expected: TraceCycle) {
  expect([...found.tree.tokens]).toEqual(expected.draft_tokens)
  expect([...found.tree.parents]).toEqual(expected.parents)
  for (const [node, logProb] of found.tree.logProbs.entries()) {
    expect(Math.abs(logProb - expected.cumulative_log_prob[node]!)).toBeLessThan(1e-4)
  }
  expect([...found.verdict.path]).toEqual(expected.accepted_nodes)
  expect(found.verdict.bonusToken).toBe(expected.next_root)
}

/** Runs each trace to its end, those that are still running in one batch. */
async function reproduce(traces: readonly Trace[]) {
  const { speculation, sequences, uniforms } = await prepare(traces)
  for (const [i, sequence] of sequences.entries()) {
    expect(await speculation.prefill(sequence)).toBe(traces[i]!.cycles[0]!.root)
  }
  const longest = Math.max(...traces.map(({ cycles }) => cycles.length))
  for (let at = 0; at < longest; at++) {
    const running = [...traces.keys()].filter((i) => at < traces[i]!.cycles.length)
    const cycles = await speculation.cycle(running.map((i) => sequences[i]!))
    for (const [row, i] of running.entries()) expectCycle(cycles[row]!, traces[i]!.cycles[at]!)
  }
  for (const [i, trace] of traces.entries()) {
    const emitted = [...sequences[i]!.tokens.subarray(trace.prompt.length)]
    expect(emitted).toEqual([...trace.output, trace.last_root_not_in_output])
  }
  expect(uniforms.flat()).toEqual([])
}

describe('golden traces', () => {
  it('exist, greedy and sampled', () => {
    const temperatures = [...traces.values()].map(({ temperature }) => temperature)
    expect(Math.min(...temperatures)).toBe(0)
    expect(Math.max(...temperatures)).toBeGreaterThan(0)
  })

  it.each([...traces])('%s alone, cycle by cycle', (_, trace) => reproduce([trace]))

  const groups = new Map<string, Trace[]>()
  for (const trace of traces.values()) {
    const key = `${trace.head} k${trace.top_k} d${trace.depth} n${trace.nodes}`
    groups.set(key, [...(groups.get(key) ?? []), trace])
  }
  // A group with fewer than three traces repeats them: equal neighbours must not matter either.
  it.each([...groups])('%s, three sequences batched', (_, group) => {
    return reproduce([0, 1, 2].map((i) => group[i % group.length]!))
  })
})

describe('createOwnTarget', () => {
  const { target } = [...traces.values()][0]!
  for (const { name, run } of targetModelCases(async () =>
    createOwnTarget((await loadTarget(goldenPath('models', target))).weights),
  )) {
    it(name, run)
  }
})
