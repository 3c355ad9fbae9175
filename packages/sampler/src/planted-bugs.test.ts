import type { DraftTree, TargetChoices, Token, Verifier, VerifyInput } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { indexCandidates } from './candidate-tree.js'
import {
  createSampler,
  exactMatch,
  type NoiseField,
  noiseDraws,
  noiseStreams,
  type RandomDraw,
  recursiveRejection,
  type SamplerOptions,
  typicalAcceptance,
} from './index.js'
import { tokenOfUniform } from './random-draw.js'
import { softmax } from './row.js'
import { alpha, chiSquare } from './testing/chi-square.js'
import {
  type Contestant,
  countContinuations,
  emitTokens,
  exactContinuations,
  plainTokens,
  rawLogitsOf,
  scriptedTarget,
  type TreeShape,
  treeShapes,
} from './testing/scripted-world.js'

/** What a broken rejection rule does differently; the defaults are right. */
interface Deviations {
  /** Distribution that a token is drawn from after full acceptance. */
  readonly bonusProbs?: (tree: DraftTree, node: number, probs: Float64Array) => Float64Array
  readonly acceptance?: (prob: number, depth: number) => number
  readonly isZeroed?: boolean
  readonly isRenormalised?: boolean
  readonly areDuplicatesTried?: boolean
  readonly isBonusDrawReused?: boolean
}

/** The rejection rule, written apart from the package's, with one thing wrong. */
function brokenRejection(random: RandomDraw, deviations: Deviations): Verifier {
  const { acceptance = (prob) => prob, isZeroed = true, isRenormalised = true } = deviations
  return {
    name: 'broken',
    fidelity: 'lossy',
    async verify({ tree, target, rootPosition }: VerifyInput) {
      const path: Token[] = [tree.tokens[0]!]
      let node = 0
      for (;;) {
        const position = rootPosition + path.length
        const probs = await target.probs(node, path)
        const children = [...tree.tokens.keys()].filter((child) => tree.parents[child] === node)
        const before = probs.slice()
        const tried = new Set<Token>()
        let lastDraw: number | undefined
        let next: number | undefined
        for (const child of children) {
          const token = tree.tokens[child]!
          const isAgain = tried.has(token)
          if (isAgain && !deviations.areDuplicatesTried) continue
          tried.add(token)
          lastDraw = random(position, isAgain ? token + probs.length : token)
          if (lastDraw < acceptance(isAgain ? before[token]! : probs[token]!, path.length)) {
            next = child
            break
          }
          const rest = 1 - probs[token]!
          if (isZeroed) probs[token] = 0
          if (isRenormalised) for (let i = 0; i < probs.length; i++) probs[i]! /= rest
        }
        if (next === undefined) {
          const from = children.length === 0 ? (deviations.bonusProbs?.(tree, node, probs) ?? probs) : probs
          const u = deviations.isBonusDrawReused && lastDraw !== undefined ? lastDraw : random(position)
          return { path: indexCandidates(tree).pathTo(node), bonusToken: tokenOfUniform(from, u) }
        }
        path.push(tree.tokens[next]!)
        node = next
      }
    },
  }
}

type Create = (seed: number, noise: NoiseField) => Contestant

interface PlantedBug {
  readonly shape: string
  readonly isCoupled?: boolean
  readonly options: SamplerOptions
  readonly create: Create
}

const options: SamplerOptions = { temperature: 0.7, topP: 0.8 }
const penalised: SamplerOptions = { temperature: 1, presencePenalty: 1 }

const withRejection = (deviations: Deviations, settings = options): Create => {
  return (seed, noise) => ({
    verifier: brokenRejection(noiseDraws(noise), deviations),
    target: honestTarget(settings, seed),
  })
}

function honestTarget(settings: SamplerOptions, seed: number): Contestant['target'] {
  const sampler = createSampler({ ...settings, seed })
  return (tree, history) => scriptedTarget(sampler, tree, history)
}

const bugs: Record<string, PlantedBug> = {
  'the reference draws the bonus token after full acceptance from the raw logits': {
    shape: 'bushy',
    options,
    create: withRejection({ bonusProbs: (tree, node) => softmax(Float64Array.from(rawLogitsOf(tree, node))) }),
  },
  'the rest is not renormalised after a rejection': {
    shape: 'wide',
    options: { temperature: 1 },
    create: withRejection({ isRenormalised: false }, { temperature: 1 }),
  },
  'a rejected child keeps its probability': {
    shape: 'chain',
    options,
    create: withRejection({ isZeroed: false, isRenormalised: false }),
  },
  'acceptance divides by the draft probability as if the draft had been sampled': {
    shape: 'chain',
    options,
    create: withRejection({ acceptance: (prob) => Math.min(1, prob / 0.5) }),
  },
  'acceptance uses p of the wrong depth': {
    shape: 'chain',
    options,
    create: withRejection({ acceptance: (prob, depth) => (depth > 1 ? prob ** 2 : prob) }),
  },
  'equal siblings are tried twice': {
    shape: 'duplicates',
    options: { temperature: 1 },
    create: withRejection({ areDuplicatesTried: true }, { temperature: 1 }),
  },
  'the bonus token reuses the draw of the last rejection': {
    shape: 'chain',
    options: { temperature: 1 },
    create: withRejection({ isBonusDrawReused: true }, { temperature: 1 }),
  },
  'siblings share one draw': {
    shape: 'wide',
    options: { temperature: 1 },
    create: (seed, noise) => ({
      verifier: recursiveRejection({ random: (position) => noise.uniform(position, 0, noiseStreams.rejection) }),
      target: honestTarget({ temperature: 1 }, seed),
    }),
  },
  'rejection draws come from the stream that candidates were coupled with': {
    shape: 'wide',
    isCoupled: true,
    options: { temperature: 1 },
    create: (seed, noise) => ({
      verifier: recursiveRejection({ random: (position, token = 99) => 1 - noise.uniform(position, token) }),
      target: honestTarget({ temperature: 1 }, seed),
    }),
  },
  'rejection draws are keyed by depth in the cycle': {
    shape: 'root alone',
    options: { temperature: 1 },
    create: (seed, noise) => ({
      verifier: shiftedInput(recursiveRejection({ random: noiseDraws(noise) }), 0),
      target: honestTarget({ temperature: 1 }, seed),
    }),
  },
  'the target’s noise is keyed by depth in the cycle': {
    shape: 'root alone',
    options: { temperature: 1 },
    create: (seed) => {
      const sampler = createSampler({ temperature: 1, seed })
      return { verifier: exactMatch(), target: (tree) => scriptedTarget(sampler, tree, []) }
    },
  },
  'top-p is taken before the temperature': {
    shape: 'bushy',
    options,
    create: (seed) => ({
      verifier: exactMatch(),
      target: honestTarget({ ...options, order: ['topP', 'temperature'] }, seed),
    }),
  },
  'penalties see the history and not the path': {
    shape: 'chain',
    options: penalised,
    create: (seed) => {
      const target = honestTarget(penalised, seed)
      return { verifier: exactMatch(), target: (tree, history) => forgetfulTarget(target, tree, history) }
    },
  },
  'a draft token that the target finds likely is taken for its choice': {
    shape: 'chain',
    options,
    create: (seed, noise) => ({
      verifier: typicalAcceptance({ random: noiseDraws(noise) }),
      target: honestTarget(options, seed),
    }),
  },
}

function shiftedInput(verifier: Verifier, rootPosition: number): Verifier {
  return { ...verifier, verify: (input) => verifier.verify({ ...input, rootPosition }) }
}

/** The tokens of the path are replaced by copies of the root, which is in the history already. */
function forgetfulTarget(target: Contestant['target'], tree: DraftTree, history: readonly Token[]): TargetChoices {
  const choices = target(tree, history)
  const forget = (path: readonly Token[]) => path.map(() => path[0]!)
  return {
    choose: (node, path) => choices.choose(node, forget(path)),
    probs: (node, path) => choices.probs(node, forget(path)),
  }
}

const samples = 20_000
const length = 3
const shapeOf = (name: string): TreeShape => treeShapes.find((shape) => shape.name === name)!

describe('planted bugs that the chi-square test catches', () => {
  it.each(Object.keys(bugs))('%s', async (name) => {
    const { shape, isCoupled = false, options, create } = bugs[name]!
    const counts = await countContinuations({ shape: shapeOf(shape), isCoupled, samples, length, create })
    expect(chiSquare(counts, exactContinuations(options, length)).pValue).toBeLessThan(alpha)
  })

  it('and not because the broken rule is written otherwise: without a bug it passes', async () => {
    const create = withRejection({})
    const counts = await countContinuations({ shape: shapeOf('bushy'), isCoupled: true, samples, length, create })
    expect(chiSquare(counts, exactContinuations(options, length)).pValue).toBeGreaterThan(alpha)
  })
})

describe('planted bugs that leave the distribution alone change the text of a seed', () => {
  const shape = shapeOf('bushy')
  const differs = async (create: Create) => {
    for (let seed = 0; seed < 50; seed++) {
      const tokens = await emitTokens({ shape, isCoupled: true, length: 12, create }, seed)
      if (tokens.join() !== plainTokens(options, seed, 12).join()) return true
    }
    return false
  }

  it('none planted: no difference', async () => {
    expect(await differs((seed) => ({ verifier: exactMatch(), target: honestTarget(options, seed) }))).toBe(false)
  })

  it('positions are off by one', async () => {
    const create: Create = (seed) => {
      const target = honestTarget(options, seed)
      return { verifier: exactMatch(), target: (tree, history) => target(tree, history.slice(1)) }
    }
    expect(await differs(create)).toBe(true)
  })

  it('the bonus token comes from another stream', async () => {
    const create: Create = (seed, noise) => ({
      verifier: recursiveRejection({ random: noiseDraws(noise) }),
      target: honestTarget(options, seed),
    })
    expect(await differs(create)).toBe(true)
  })
})
