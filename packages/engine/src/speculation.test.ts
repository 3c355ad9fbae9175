import type { ChoiceRule, DraftModel, TargetModel, TreePolicy, Verifier } from '@hass-engine/core'
import { createScriptedDraft, createScriptedTarget, type NextLogits } from '@hass-engine/core/test'
import { chain, dynamicTree, plain } from '@hass-engine/draft-tree'
import { createSampler, createTargetChooser, exactMatch, noiseDraws, recursiveRejection } from '@hass-engine/sampler'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Speculation, type SpeculationOptions, type SpeculativeSequence } from './index.js'

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
