import {
  createDraftTree,
  type DraftTree,
  HassError,
  InvalidArgumentError,
  type TargetChoices,
  type Verifier,
} from '@hass-engine/core'
import { verifierCases } from '@hass-engine/core/test'
import fc from 'fast-check'
import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  createLogitsRows,
  createNoiseField,
  createSampler,
  createTargetChooser,
  exactMatch,
  noiseDraws,
  recursiveRejection,
  type SamplerOptions,
  typicalAcceptance,
} from './index.js'

const random = noiseDraws(createNoiseField(1))
const rules: Record<string, () => Verifier> = {
  exactMatch,
  recursiveRejection: () => recursiveRejection({ random }),
  typicalAcceptance: () => typicalAcceptance({ random }),
}

const probsTarget = (...probs: number[]): TargetChoices => ({
  choose: () => probs.indexOf(Math.max(...probs)),
  probs: () => Float64Array.from(probs),
})

describe.each(Object.keys(rules))('%s', (name) => {
  const create = rules[name]!

  for (const contractCase of verifierCases(create)) it(contractCase.name, () => contractCase.run())

  it.each<[string, Partial<Record<keyof DraftTree, ArrayLike<number>>>]>([
    ['no node', { tokens: [], parents: [] }],
    ['no root', { tokens: [1, 2], parents: [0, 0] }],
    ['a root in a circle', { tokens: [1, 1], parents: [1, 0] }],
    ['a parent that is its own child', { tokens: [1, 1], parents: [-1, 1] }],
    ['a parent that follows', { tokens: [1, 1, 1], parents: [-1, 2, 0] }],
    ['a second root', { tokens: [1, 1], parents: [-1, -1] }],
    ['too few parents', { tokens: [1, 1, 1], parents: [-1, 0] }],
  ])('refuses a tree with %s', async (_, broken) => {
    const tree = { depths: new Uint16Array(3), logProbs: new Float32Array(3), ...broken } as unknown as DraftTree
    await expect(create().verify({ tree, target: probsTarget(0, 1), rootPosition: 0 })).rejects.toThrow(
      InvalidArgumentError,
    )
  })

  it('lives with draft tokens outside the vocabulary and bad draft probabilities', async () => {
    const tree = createDraftTree([0, 4_000_000_000, 1, 99], [-1, 0, 0, 2], [0, Number.NaN, Infinity, -Infinity])
    const { path, bonusToken } = await create().verify({ tree, target: probsTarget(0, 1), rootPosition: 0 })
    expect([...path]).toEqual([0, 2])
    expect(bonusToken).toBe(1)
  })

  it('walks on through whichever of two equal siblings leads further', async () => {
    const tree = createDraftTree([0, 1, 1, 1, 2, 1], [-1, 0, 0, 2, 1, 3])
    const { path } = await create().verify({ tree, target: probsTarget(0, 1), rootPosition: 0 })
    expect([...path]).toEqual([0, 2, 3, 5])
  })

  it('is quick on a fan of twenty thousand equal siblings and on a long chain', async () => {
    const nodes = 20_000
    const target = probsTarget(0, 1)
    const parents = Array.from({ length: nodes }, (_, node) => (node === 0 ? -1 : 0))
    const fan = createDraftTree(new Array(nodes).fill(0), parents)
    expect((await create().verify({ tree: fan, target, rootPosition: 0 })).path.length).toBe(1)
    const chain = createDraftTree(
      new Array(2000).fill(0),
      Array.from({ length: 2000 }, (_, node) => node - 1),
    )
    expect((await create().verify({ tree: chain, target, rootPosition: 0 })).path.length).toBe(1)
  })

  it('passes on what is wrong with the target’s logits', async () => {
    const logits = createLogitsRows(Float32Array.of(1, Number.NaN), 2)
    for (const temperature of [0, 1]) {
      const target = createTargetChooser({ sampler: createSampler({ temperature }), logits, history: [] })
      const verdict = create().verify({ tree: createDraftTree([0], [-1]), target, rootPosition: 0 })
      await expect(verdict).rejects.toMatchObject({ code: 'HASS_ERR_BAD_LOGITS' })
    }
  })
})

describe('fidelity', () => {
  it('is part of the type', () => {
    expectTypeOf(exactMatch()).toEqualTypeOf<Verifier<'lossless'>>()
    expectTypeOf(recursiveRejection({ random })).toEqualTypeOf<Verifier<'lossless'>>()
    expectTypeOf(typicalAcceptance({ random })).toEqualTypeOf<Verifier<'lossy'>>()
    expect(Object.values(rules).map((create) => create().fidelity)).toEqual(['lossless', 'lossless', 'lossy'])
  })
})

describe('recursiveRejection', () => {
  const tree = createDraftTree([9, 0, 1], [-1, 0, 0])

  it('never accepts a token without probability, however small the draw', async () => {
    const verifier = recursiveRejection({ random: () => 0 })
    const { path, bonusToken } = await verifier.verify({ tree, target: probsTarget(0, 0, 0.5, 0.5), rootPosition: 0 })
    expect([...path]).toEqual([0])
    expect(bonusToken).toBe(2)
  })

  it('accepts the only token left, even if rounding took some of its probability', async () => {
    const verifier = recursiveRejection({ random: () => 1 - 2 ** -53 })
    const { path } = await verifier.verify({ tree, target: probsTarget(1 - 2 ** -50, 0), rootPosition: 0 })
    expect([...path]).toEqual([0, 1])
  })

  it('gives what rounding lost to the last token', async () => {
    const verifier = recursiveRejection({ random: () => 1 - 2 ** -53 })
    const target = probsTarget(0.5, 0.5 - 2 ** -50, 0)
    expect((await verifier.verify({ tree: createDraftTree([9], [-1]), target, rootPosition: 0 })).bonusToken).toBe(1)
  })

  it.each([1, -0.1, Number.NaN, Infinity])('refuses the random number %s', async (bad) => {
    const verdict = recursiveRejection({ random: () => bad }).verify({ tree, target: probsTarget(1), rootPosition: 0 })
    await expect(verdict).rejects.toThrow(InvalidArgumentError)
  })

  it('fails with a typed error if nothing has any probability', async () => {
    const verdict = recursiveRejection({ random }).verify({ tree, target: probsTarget(0, 0), rootPosition: 0 })
    await expect(verdict).rejects.toMatchObject({ code: 'HASS_ERR_NO_TOKEN_LEFT' })
    expect(HassError.isInstance(await verdict.catch((error) => error))).toBe(true)
  })

  it('refuses unknown options', () => {
    expect(() => recursiveRejection({ random, seed: 1 } as never)).toThrow(InvalidArgumentError)
  })
})

describe('typicalAcceptance', () => {
  // Entropy 1.03: the threshold is min(0.09, 0.3 · 0.36) = 0.09.
  const target = probsTarget(0.6, 0.25, 0.1, 0.05)
  const accept = async (tokens: number[], parents: number[], options = {}) => {
    const verifier = typicalAcceptance({ random: () => 0.9, ...options })
    return verifier.verify({ tree: createDraftTree(tokens, parents), target, rootPosition: 4 })
  }

  it('accepts what exceeds the smaller threshold and draws the bonus token', async () => {
    expect(await accept([9, 2, 3], [-1, 0, 1])).toEqual({ path: Uint32Array.of(0, 1), bonusToken: 2 })
    expect((await accept([9, 2], [-1, 0], { epsilon: 0.2 })).path.length).toBe(1)
    expect((await accept([9, 2], [-1, 0], { epsilon: 0.2, delta: 0.2 })).path.length).toBe(2)
    expect((await accept([9, 2], [-1, 0], { epsilon: 0.2, delta: 1 })).path.length).toBe(1)
    expect((await accept([9, 1], [-1, 0], { epsilon: 0.2, delta: 1 })).path.length).toBe(2)
  })

  it('takes the deepest path, of equals the first', async () => {
    expect([...(await accept([9, 0, 1, 0, 3], [-1, 0, 0, 2, 1])).path]).toEqual([0, 2, 3])
    expect([...(await accept([9, 1, 0], [-1, 0, 0])).path]).toEqual([0, 1])
  })

  it.each([{ epsilon: 0 }, { epsilon: 2 }, { delta: 0 }, { delta: Number.NaN }, { eps: 1 }])(
    'refuses %o',
    (options) => {
      expect(() => typicalAcceptance({ random, ...options })).toThrow(InvalidArgumentError)
    },
  )
})

describe('exactMatch', () => {
  it('gives the same tokens for the same seed, whatever trees are drafted', async () => {
    const vocabSize = 6
    const field = createNoiseField(77)
    const logitsAfter = (tokens: readonly number[]) =>
      Float32Array.from({ length: vocabSize }, (_, v) => field.gumbel(tokens.at(-1)! * 7 + (tokens.at(-2) ?? 0), v, 2))
    const tree = fc.array(fc.tuple(fc.nat({ max: vocabSize - 1 }), fc.nat()), { maxLength: 12 })
    const options: fc.Arbitrary<SamplerOptions> = fc.constantFrom(
      {},
      { temperature: 1 },
      { temperature: 0.7, topP: 0.9 },
      { temperature: 1.3, topK: 4, presencePenalty: 0.7, repetitionPenalty: 1.2 },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(tree, { minLength: 1, maxLength: 5 }), options, fc.nat(), async (trees, rule, seed) => {
        const sampler = createSampler({ ...rule, seed })
        const plain = [1, 2]
        while (plain.length < 14) plain.push(sampler.choose(logitsAfter(plain), plain))

        const context = [1, 2]
        for (let cycle = 0; context.length < 14; cycle++) {
          const drafted = trees[cycle % trees.length]!
          const tokens = [context.at(-1)!, ...drafted.map(([token]) => token)]
          const parents = [-1, ...drafted.map(([, parent], i) => parent % (i + 1))]
          const history = context.slice(0, -1)
          const pathTo = (node: number): number[] => (node < 0 ? [] : [...pathTo(parents[node]!), tokens[node]!])
          const rows = tokens.flatMap((_, node) => [...logitsAfter([...history, ...pathTo(node)])])
          const logits = createLogitsRows(Float32Array.from(rows), vocabSize)
          const { path, bonusToken } = await exactMatch().verify({
            tree: createDraftTree(tokens, parents),
            target: createTargetChooser({ sampler, logits, history }),
            rootPosition: history.length,
          })
          context.push(...[...path.slice(1)].map((node) => tokens[node]!), bonusToken)
        }
        expect(context.slice(0, 14)).toEqual(plain)
      }),
      { seed: 10, numRuns: 200 },
    )
  })
})
