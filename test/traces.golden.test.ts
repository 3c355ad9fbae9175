import type { Token } from '@hass-engine/core'
import { dynamicTree } from '@hass-engine/draft-tree'
import { Speculation } from '@hass-engine/engine'
import { type DeviceKind, openDevice } from '@hass-engine/kernels'
import { createDraftHead, createTargetModel } from '@hass-engine/models'
import { createSampler, createTargetChooser, exactMatch, recursiveRejection } from '@hass-engine/sampler'
import { openModel } from '@hass-engine/weights'
import { afterAll, describe, expect, it } from 'vitest'
import { nativeKinds, wantedKinds } from '../packages/kernels/src/testing/devices.js'
import { goldenPath, listGolden, readGoldenJson } from './support/golden.js'

interface GoldenCycle {
  readonly committed_length: number
  readonly root: Token
  readonly draft_tokens: readonly Token[]
  readonly parents: readonly number[]
  readonly accepted_nodes: readonly number[]
  readonly next_root: Token
  readonly decisions?: readonly { readonly u: number }[]
  readonly next_root_u?: number
}

interface GoldenTrace {
  readonly target: string
  readonly head: string
  readonly temperature: number
  readonly sampling_top_p?: number | null
  readonly sampling_top_k?: number | null
  readonly top_k: number
  readonly depth: number
  readonly nodes: number
  readonly prompt: readonly Token[]
  readonly first?: { readonly root: Token; readonly u: number }
  readonly output: readonly Token[]
  readonly cycles: readonly GoldenCycle[]
}

const files = listGolden('traces', /\.json$/)
const kinds: readonly DeviceKind[] = ['reference', ...nativeKinds]

/** An emulated GPU is slow: the trace of the smallest trees, unless all are asked for by name. */
function filesFor(kind: DeviceKind): readonly string[] {
  if (kind !== 'cuda-emulated' || wantedKinds) return files
  const nodesOf = (file: string) => (readGoldenJson('traces', file) as GoldenTrace).nodes
  return [...files].sort((a, b) => nodesOf(a) - nodesOf(b)).slice(0, 1)
}

it('finds golden traces, greedy and sampled', () => {
  const temperatures = files.map((file) => (readGoldenJson('traces', file) as GoldenTrace).temperature)
  expect(temperatures.some((temperature) => temperature === 0)).toBe(true)
  expect(temperatures.some((temperature) => temperature > 0)).toBe(true)
})

describe.each(kinds)('whole generations on %s', (kind) => {
  const device = openDevice(kind === 'cpu' ? { kind, threads: 2 } : { kind })
  afterAll(() => device.dispose())

  it.each(filesFor(kind))(
    '%s',
    async (file) => {
      const trace = readGoldenJson('traces', file) as GoldenTrace
      const target = await createTargetModel({
        device,
        model: await openModel(goldenPath('models', trace.target)),
        cacheTokens: 512,
      })
      const model = await openModel(goldenPath('heads', trace.head))
      const draft = await createDraftHead({ device, target, model, weightDtype: 'file' })
      const draws = recordedDraws(trace)
      const speculation = new Speculation({
        target,
        draft,
        policy: dynamicTree({ topK: trace.top_k, depth: trace.depth, maxNodes: trace.nodes }),
        verifier: trace.temperature > 0 ? recursiveRejection({ random: () => draws.shift()! }) : exactMatch(),
      })
      const sampler = createTraceSampler(trace)
      const sequence = speculation.createSequence({
        tokens: trace.prompt,
        choices: (pass) => createTargetChooser({ sampler, ...pass }),
      })
      await speculation.prefill(sequence)
      for (const [i, expected] of trace.cycles.entries()) {
        expect(sequence.root, `root of cycle ${i}`).toBe(expected.root)
        expect(sequence.rootPosition).toBe(expected.committed_length)
        const [cycle] = await speculation.cycle([sequence])
        expect([...cycle!.tree.tokens], `tree of cycle ${i}`).toEqual(expected.draft_tokens)
        expect([...cycle!.tree.parents]).toEqual(expected.parents)
        expect([...cycle!.verdict.path], `accepted in cycle ${i}`).toEqual(expected.accepted_nodes)
        expect(cycle!.verdict.bonusToken).toBe(expected.next_root)
      }
      // The last root is emitted, and in nobody's cache yet.
      expect([...sequence.tokens].slice(trace.prompt.length, -1)).toEqual(trace.output)
      expect(draws).toEqual([])
      sequence.dispose()
      expect([target.cache.free, draft.cache.free]).toEqual([target.cache.capacity, draft.cache.capacity])
      draft.dispose()
      target.dispose()
    },
    300_000,
  )
})

/** The uniforms of a sampled trace in the order of their use. */
function recordedDraws({ first, cycles }: GoldenTrace): number[] {
  return [
    ...(first ? [first.u] : []),
    ...cycles.flatMap(({ decisions = [], next_root_u: bonus }) => [
      ...decisions.map(({ u }) => u),
      ...(bonus === undefined ? [] : [bonus]),
    ]),
  ]
}

function createTraceSampler({ temperature, sampling_top_p: topP, sampling_top_k: topK }: GoldenTrace) {
  return createSampler({
    temperature,
    seed: 0n,
    ...(topP ? { topP } : {}),
    ...(topK ? { topK } : {}),
    order: ['temperature', 'topP', 'topK'],
  })
}
