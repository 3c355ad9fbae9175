import {
  type ChoiceRule,
  type DraftModel,
  HassError,
  type TargetModel,
  type TreeBuilder,
  type TreePolicy,
  type Verifier,
} from '@hass-engine/core'
import { createScriptedDraft, createScriptedTarget, type NextLogits } from '@hass-engine/core/test'
import { chain, dynamicTree, plain } from '@hass-engine/draft-tree'
import { createSampler, createTargetChooser, exactMatch, noiseDraws, recursiveRejection } from '@hass-engine/sampler'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CycleOptions, Speculation, type SpeculationOptions, type SpeculativeSequence } from './index.js'

const vocabSize = 11

/** A distribution that depends on the last three tokens, so that a wrong context shows. */
function contextual(salt: number): NextLogits {
  return (context) =>
    Array.from({ length: vocabSize }, (_, token) => {
      const mixed = context.slice(-3).reduce((sum, id, i) => sum + (id + 1) * (i + 2) * (token + salt), context.length)
      return Math.sin(mixed * 12.9898) * 3
    })
}

const target = () => createScriptedTarget({ vocabSize, next: contextual(1) })
const heads: Record<string, () => DraftModel> = {
  perfect: () => createScriptedDraft({ vocabSize, next: contextual(1) }),
  wrong: () => createScriptedDraft({ vocabSize, next: contextual(5) }),
  nan: () => createScriptedDraft({ vocabSize, next: () => Array<number>(vocabSize).fill(Number.NaN) }),
}

/** Decodes `tokens` tokens by a loop of one's own: what speculation must not change. */
async function decodePlainly(prompt: readonly number[], tokens: number, rule: Partial<ChoiceRule>): Promise<number[]> {
  const sampler = createSampler({ temperature: rule.temperature ?? 0, seed: rule.seed ?? 0n })
  const context = [...prompt]
  for (let i = 0; i < tokens; i++) context.push(sampler.choose(Float32Array.from(contextual(1)(context)), context))
  return context
}

function bound(builder: TreeBuilder): TreeBuilder {
  return { expand: (candidates) => builder.expand(candidates), finish: () => builder.finish() }
}

function start(
  speculation: Speculation,
  prompt: readonly number[],
  rule: Partial<ChoiceRule> = {},
): SpeculativeSequence {
  const sampler = createSampler({ temperature: rule.temperature ?? 0, seed: rule.seed ?? 0n, topK: vocabSize })
  return speculation.createSequence({ tokens: prompt, choices: (pass) => createTargetChooser({ sampler, ...pass }) })
}

async function decode(
  options: Partial<SpeculationOptions>,
  prompts: readonly number[][],
  cycles: number,
  rule: Partial<ChoiceRule> = {},
) {
  const speculation = new Speculation({ target: target(), policy: dynamicTree(), verifier: exactMatch(), ...options })
  const sequences = prompts.map((prompt) => start(speculation, prompt, rule))
  for (const sequence of sequences) await speculation.prefill(sequence)
  const accepted: number[] = []
  for (let i = 0; i < cycles; i++) {
    for (const { verdict } of await speculation.cycle(sequences)) accepted.push(verdict.path.length - 1)
  }
  return { texts: sequences.map(({ tokens }) => [...tokens]), accepted }
}

describe('Speculation', () => {
  it.each(Object.keys(heads))('emits the tokens of plain decoding with a %s head, greedy and sampled', async (name) => {
    const prompts = fc.array(fc.nat(vocabSize - 1), { minLength: 1, maxLength: 9 })
    const property = fc.asyncProperty(
      prompts,
      fc.constantFrom(0, 0.7, 1.5),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      async (prompt, temperature, seed) => {
        const { texts } = await decode({ draft: heads[name]!() }, [prompt], 4, { temperature, seed })
        const plain = await decodePlainly(prompt, texts[0]!.length - prompt.length, { temperature, seed })
        expect(texts[0]).toEqual(plain)
      },
    )
    await fc.assert(property, { numRuns: 40 })
  })

  it('accepts every level of a perfect head, and none of a nan one', async () => {
    const perfect = await decode({ draft: heads.perfect!(), policy: chain({ depth: 3 }) }, [[1, 2]], 5)
    expect(perfect.accepted).toEqual([3, 3, 3, 3, 3])
    expect(perfect.texts[0]!.length).toBe(2 + 1 + 5 * 4)
    const drafted = await decode({ policy: plain() }, [[1, 2]], 5)
    expect(drafted.accepted).toEqual([0, 0, 0, 0, 0])
  })

  it('gives sequences of a batch, and prompts in chunks, the text that they have alone', async () => {
    const prompts = [[1], [2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1], [5, 5, 5]]
    const alone = await Promise.all(prompts.map((prompt) => decode({ draft: heads.wrong!() }, [prompt], 6)))
    const batched = await decode({ draft: heads.wrong!() }, prompts, 6)
    const inChunks = await decode({ draft: heads.wrong!(), prefillChunk: 2 }, prompts, 6)
    expect(batched.texts).toEqual(alone.map(({ texts }) => texts[0]))
    expect(inChunks).toEqual(batched)
  })

  it('tells the policy what became of its trees, and how deep they may be', async () => {
    const policy = chain({ depth: 5 })
    const seen: number[] = []
    const watching: TreePolicy = {
      ...policy,
      observe: (tree, verdict) => void seen.push(tree.tokens.length, verdict.path.length),
    }
    const speculation = new Speculation({
      target: target(),
      draft: heads.perfect!(),
      policy: watching,
      verifier: exactMatch(),
    })
    const sequence = start(speculation, [3, 4])
    await speculation.prefill(sequence)
    await speculation.cycle([sequence], { maxDepths: [2] })
    await speculation.cycle([sequence], { maxDepths: [0] })
    expect(seen).toEqual([3, 3, 1, 1])
  })

  it('lets a policy leave out the drafting of a cycle, and go on with it in the next', async () => {
    const policy = chain({ depth: 3 })
    let cycles = 0
    const resting: TreePolicy = {
      ...policy,
      start: (cycle) => ({ ...bound(policy.start(cycle)), ...(cycles++ % 2 === 0 && { width: 0 }) }),
    }
    const rested = await decode({ draft: heads.perfect!(), policy: resting }, [[1, 2]], 6)
    expect(rested.accepted).toEqual([0, 3, 0, 3, 0, 3])
    expect(rested.texts[0]).toEqual(await decodePlainly([1, 2], rested.texts[0]!.length - 2, {}))
  })

  it('never drafts past the end of the context', async () => {
    const short: TargetModel = { ...target(), maxContext: 6 }
    const speculation = new Speculation({
      target: short,
      draft: heads.perfect!(),
      policy: chain({ depth: 5 }),
      verifier: exactMatch(),
    })
    const sequence = start(speculation, [3, 4])
    await speculation.prefill(sequence)
    const [cycle] = await speculation.cycle([sequence])
    expect(cycle!.tree.tokens.length).toBe(4)
    expect(sequence.target.length).toBe(6)
  })

  it('takes any verifier', async () => {
    const verifiers: Verifier[] = [
      exactMatch(),
      recursiveRejection({ random: noiseDraws(createSampler({ seed: 3 }).noise) }),
    ]
    for (const verifier of verifiers) {
      const { texts } = await decode({ draft: heads.perfect!(), verifier }, [[1, 2, 3]], 3)
      expect(texts[0]).toEqual(await decodePlainly([1, 2, 3], texts[0]!.length - 3, {}))
    }
  })

  it('rejects with the reason of an aborted signal', async () => {
    const speculation = new Speculation({
      target: target(),
      draft: heads.perfect!(),
      policy: chain({ depth: 2 }),
      verifier: exactMatch(),
    })
    const reason = new Error('stop')
    const sequence = start(speculation, [1])
    await expect(speculation.prefill(sequence, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    sequence.dispose()
    const other = start(speculation, [1])
    await speculation.prefill(other)
    await expect(speculation.cycle([other], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })

  describe('with several sequences', () => {
    const costs = (msPerRow: number) => {
      const curve = { rows: [1, 64], ms: [1, 1 + 63 * msPerRow] }
      return { verify: curve, draft: curve }
    }
    const prompts = [[1], [2, 3], [4, 5, 6], [7]]
    /** Nodes of each tree, root included, and the texts. */
    async function run(options: Partial<SpeculationOptions>, cycle: CycleOptions = {}) {
      const policy = dynamicTree({ topK: 3, depth: 2, maxNodes: 9 })
      const speculation = new Speculation({
        target: target(),
        draft: heads.perfect!(),
        policy,
        verifier: exactMatch(),
        ...options,
      })
      const sequences = prompts.map((prompt) => start(speculation, prompt))
      for (const sequence of sequences) await speculation.prefill(sequence)
      const cycles = await speculation.cycle(sequences, cycle)
      return { nodes: cycles.map(({ tree }) => tree.tokens.length), texts: sequences.map(({ tokens }) => [...tokens]) }
    }

    it('verifies whole trees where rows are free, and fewer nodes the dearer a row is', async () => {
      const sum = async (options: Partial<SpeculationOptions>) =>
        (await run(options, { rate: 1 })).nodes.reduce((total, nodes) => total + nodes)
      expect(await sum({})).toBe(40)
      const sums = [await sum({ costs: costs(0) }), await sum({ costs: costs(0.2) }), await sum({ costs: costs(2) })]
      expect([sums[0], sums[2]]).toEqual([40, 4])
      expect(sums[1]).toBeGreaterThan(4)
      expect(sums[1]).toBeLessThan(40)
    })

    it('keeps within the rows that there are, one for each root at least', async () => {
      expect((await run({}, { maxRows: 17 })).nodes.reduce((total, nodes) => total + nodes)).toBe(17)
      expect((await run({}, { maxRows: 1 })).nodes).toEqual([1, 1, 1, 1])
    })

    it('gives rows to the sequences whose policy expects most of them, and tells each of its own tree', async () => {
      const inner = dynamicTree({ topK: 3, depth: 2, maxNodes: 9 })
      const observed: number[] = []
      const policy: TreePolicy = {
        ...inner,
        acceptance: (tree) =>
          Float64Array.from(tree.tokens, (_, node) => (tree.tokens[0] === root ? 1 : 0.1 / (node + 1))),
        observe(tree, { path }) {
          observed.push(tree.tokens.length)
          expect(tree.parents[path.at(-1)!]).toBe(path.length > 1 ? path.at(-2) : -1)
        },
      }
      const { texts } = await run({})
      const root = texts[2]![prompts[2]!.length]!
      const { nodes } = await run({ policy }, { maxRows: 13 })
      expect(nodes).toEqual(prompts.map((_, i) => (texts[i]![prompts[i]!.length] === root ? 10 : 1)))
      expect(observed).toEqual([10, 10, 10, 10])
    })

    it('emits what it would have emitted with whole trees', async () => {
      const { texts } = await run({})
      for (const cut of [await run({}, { maxRows: 9 }), await run({ costs: costs(0.2) }, { rate: 1 })]) {
        for (const [i, text] of cut.texts.entries()) expect(texts[i]!.slice(0, text.length)).toEqual(text)
      }
    })
  })

  it('verifies the trees that it has where the draft model has no room for deeper ones', async () => {
    const draft = heads.perfect!()
    let levels = 0
    const extend = draft.extend.bind(draft)
    draft.extend = async (...call) => {
      if (++levels > 1) throw new HassError('HASS_ERR_CACHE_FULL', 'full')
      return extend(...call)
    }
    const { accepted, texts } = await decode({ draft, policy: chain({ depth: 5 }) }, [[1, 2]], 1)
    expect([accepted, levels]).toEqual([[2], 2])
    expect(texts[0]).toEqual(await decodePlainly([1, 2], texts[0]!.length - 2, {}))
    draft.extend = async () => {
      throw new Error('another fault')
    }
    await expect(decode({ draft }, [[1, 2]], 1)).rejects.toThrow('another fault')
  })

  it('refuses an empty prompt and unknown options', () => {
    const options = { target: target(), draft: heads.nan!(), policy: chain({ depth: 2 }), verifier: exactMatch() }
    const { draft, ...withoutDraft } = options
    expect(() => start(new Speculation(withoutDraft), [1])).toThrow(/policy chain needs a draft model/)
    expect(() => new Speculation({ ...options, temperature: 1 } as SpeculationOptions)).toThrow(
      /no option "temperature"/,
    )
    expect(() => new Speculation({ ...options, prefillChunk: 0 })).toThrow(/prefillChunk/)
    expect(() => start(new Speculation(options), [])).toThrow(/the prompt is empty/)
  })
})
