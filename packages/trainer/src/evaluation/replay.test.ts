import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chain, dynamicTree } from '@hass-engine/draft-tree'
import { Speculation } from '@hass-engine/engine'
import { createDraftHead, type DeviceDraftHead } from '@hass-engine/models'
import { exactMatch } from '@hass-engine/sampler'
import { openModel } from '@hass-engine/weights'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { goldenPath } from '../../../../test/support/golden.js'
import { createLocalFeatureSource } from '../corpus/local-feature-source.js'
import { type Corpus, openCorpus } from '../corpus/open-corpus.js'
import { useDevice } from '../testing/devices.js'
import { createTinyTarget, runCorpus, type TinyTarget, tinyPrompts } from '../testing/tiny-target.js'
import { type AcceptanceCounts, AcceptanceTally, sumAcceptance } from './acceptance.js'
import { estimate } from './estimate.js'
import { replayResponses } from './replay.js'
import { summarizeSetting } from './summarize.js'

describe('replayResponses', () => {
  const device = useDevice('cpu')
  let folder: string
  let tiny: TinyTarget
  let corpus: Corpus
  let draft: DeviceDraftHead
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hass-replay-'))
    tiny = await createTinyTarget(device())
    const source = createLocalFeatureSource({ target: tiny.target, identity: tiny.identity })
    const shared = { source, tokenizer: tiny.tokenizer, texts: tinyPrompts(10), maxTokens: 24, maxTurns: 1 }
    await runCorpus({ ...shared, folder, features: 'recompute', temperatures: mixed })
    // Features to the last bit, so that replay and generation draft the very same trees.
    corpus = await openCorpus(folder, { source })
    const model = await openModel(goldenPath('heads', tiny.headName))
    draft = await createDraftHead({ device: device(), target: tiny.target, model })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const mixed = [
    { temperature: 0, share: 0.5 },
    { temperature: 1, share: 0.5 },
  ]
  const all = () => corpus.sequences.map((_, i) => i)

  /** The same by speculation with the target itself. */
  async function generate(index: number, policy = dynamicTree({ maxNodes: 12, topK: 4 }), isCoupled = false) {
    const { tokens, promptTokens, temperature = 0, seed } = corpus.sequences[index]!
    const choice = { temperature, seed: BigInt(seed!) }
    const { target } = tiny
    const speculation = new Speculation({ target, draft, policy, verifier: exactMatch() })
    const sequence = speculation.createSequence({
      tokens: tokens.subarray(0, promptTokens),
      choices: ({ logits, firstRow, history }) => ({
        choose: (node, path) =>
          temperature === 0
            ? logits.argMax(firstRow + node)
            : logits.gumbelArgMax(firstRow + node, { ...choice, position: history.length + path.length }),
        probs: () => expect.unreachable(),
      }),
      ...(isCoupled && temperature > 0 && { coupling: choice }),
    })
    const tally = new AcceptanceTally()
    await speculation.prefill(sequence)
    while (sequence.tokens.length < tokens.length) {
      const rest = tokens.length - sequence.tokens.length
      const [cycle] = await speculation.cycle([sequence], { maxDepths: [rest] })
      tally.add(cycle!.tree, cycle!.verdict, Math.min(rest, cycle!.emitted.length))
    }
    sequence.dispose()
    return tally.counts
  }

  it.each([
    ['a chain', () => chain({ depth: 4 }), false],
    ['a tree', () => dynamicTree({ maxNodes: 12, topK: 4 }), false],
    ['a tree of coupled candidates', () => dynamicTree({ maxNodes: 12, topK: 4 }), true],
  ] as const)('counts what generation with %s does', async (_, policy, coupled) => {
    const replayed = await replayResponses({ corpus, sequences: all(), draft, policy: policy(), coupled })
    const generated: AcceptanceCounts[] = []
    for (const index of all()) generated.push(await generate(index, policy(), coupled))
    expect(replayed).toEqual(generated)
    const { emitted, accepted } = sumAcceptance(replayed)
    const responses = corpus.sequences.reduce((sum, { tokens, promptTokens }) => sum + tokens.length - promptTokens, 0)
    // The first token of each is the prefill's.
    expect(emitted).toBe(responses - corpus.sequences.length)
    expect(accepted).toBeGreaterThan(0)
    expect(tiny.target.cache.free).toBe(tiny.target.cache.capacity)
    expect(draft.cache.free).toBe(draft.cache.capacity)
  })

  it('does not depend on what is replayed beside', async () => {
    const options = { corpus, draft, coupled: true }
    const policy = () => dynamicTree({ maxNodes: 8 })
    const together = await replayResponses({ ...options, sequences: all(), policy: policy(), concurrency: 7 })
    const alone = await replayResponses({ ...options, sequences: all().reverse(), policy: policy(), concurrency: 1 })
    expect(together).toEqual(alone.reverse())
  })

  it('stops with the signal, and frees what it held', async () => {
    const signal = AbortSignal.abort(new Error('enough'))
    const replay = replayResponses({ corpus, sequences: all(), draft, policy: chain(), signal })
    await expect(replay).rejects.toThrow('enough')
    expect(draft.cache.free).toBe(draft.cache.capacity)
  })
})

describe('summarizeSetting', () => {
  const counts = (emitted: number, cycles: number): AcceptanceCounts => ({
    cycles,
    emitted,
    drafted: 3 * cycles,
    accepted: emitted - cycles,
    depths: [{ drafted: cycles, accepted: emitted - cycles }],
  })

  it('weighs cycles in one figure and prompts in the other', () => {
    const row = summarizeSetting({ name: 'x', temperature: 0, isCoupled: false }, [
      counts(20, 10),
      counts(9, 3),
      counts(0, 0),
    ])
    expect(row).toMatchObject({ prompts: 2, acceptanceByDepth: [16 / 13] })
    expect(row.acceptanceLength.value).toBe(29 / 13)
    expect(row.acceptanceLengthByPrompt.value).toBe(2.5)
    for (const { low, high } of [row.acceptanceLength, row.acceptanceLengthByPrompt]) {
      expect(low).toBeCloseTo(2, 9)
      expect(high).toBeCloseTo(3, 9)
    }
  })

  it('gives intervals that cover', () => {
    // Means of 40 draws of variance 1/12: the standard error is 0.0456.
    const draws = Array.from({ length: 40 }, (_, i) => (i * 0.618034) % 1)
    const mean = (some: readonly number[]) => some.reduce((sum, value) => sum + value, 0) / some.length
    const { value, low, high } = estimate(draws, mean)
    expect(value).toBe(mean(draws))
    expect((high - low) / 2).toBeGreaterThan(1.96 * 0.0456 * 0.85)
    expect((high - low) / 2).toBeLessThan(1.96 * 0.0456 * 1.15)
  })
})
