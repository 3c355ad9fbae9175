import {
  createDraftTree,
  type DraftTree,
  type LogitsRows,
  type TargetChoices,
  type Token,
  type Verifier,
} from '@hass-engine/core'
import {
  createLogitsRows,
  createNoiseField,
  createSampler,
  createTargetChooser,
  type NoiseField,
  noiseStreams,
  type Sampler,
  type SamplerOptions,
} from '../index.js'
import { naiveProbs } from './naive-distribution.js'

/** Small enough that every pair and triple of tokens is seen often. */
const vocabSize = 5

const tables = createNoiseField(2024)

function inventLogits(row: number, spread: number): Float32Array {
  return Float32Array.from(
    { length: vocabSize },
    (_, token) => spread * tables.gumbel(row, token, noiseStreams.training),
  )
}

/** Logits after each last token: a target, and a draft that knows something about it. */
const targetTable = Array.from({ length: vocabSize }, (_, token) => inventLogits(token, 0.9))
const draftTable = targetTable.map((logits, token) => {
  const error = inventLogits(100 + token, 0.7)
  return logits.map((logit, i) => logit + error[i]!)
})

export const prompt: readonly Token[] = [1, 3, 2]

/** Which trees are drafted: children per node of each level. */
export interface TreeShape {
  readonly name: string
  readonly branching: readonly number[]
  /** The first child of each node stands there a second time, behind the others. */
  readonly hasDuplicates?: boolean
}

export const treeShapes: readonly TreeShape[] = [
  { name: 'root alone', branching: [] },
  { name: 'chain', branching: [1, 1] },
  { name: 'wide', branching: [3] },
  { name: 'bushy', branching: [3, 2] },
  { name: 'duplicates', branching: [2, 2], hasDuplicates: true },
]

/** What the quick tests run: the wide tree is the first level of the bushy one. */
export const quickShapes = treeShapes.filter(({ name }) => name !== 'wide')

/** Drafts a tree of a shape: plain by log q, coupled by log q + the target's own noise (hass.md §4). */
export function draftTreeOf(shape: TreeShape, context: readonly Token[], noise: NoiseField | undefined): DraftTree {
  if (noise) return growTree(shape, context, noise)
  // A plain tree is a function of its root here, and twenty thousand samples share five of them.
  const key = `${shape.name} ${context.at(-1)}`
  const tree = plainTrees.get(key) ?? growTree(shape, context)
  plainTrees.set(key, tree)
  return tree
}

const plainTrees = new Map<string, DraftTree>()

function growTree(shape: TreeShape, context: readonly Token[], noise?: NoiseField): DraftTree {
  const tokens = [context.at(-1)!]
  const parents = [-1]
  let level = [0]
  for (const [depth, width] of shape.branching.entries()) {
    const next: number[] = []
    for (const parent of level) {
      const last = tokens[parent]!
      const ranks = noise ? coupledRanks(last, noise, context.length + depth) : plainRanks[last]!
      const ranked = ranks.slice(0, width)
      for (const token of shape.hasDuplicates ? [...ranked, ranked[0]!] : ranked) {
        next.push(tokens.length)
        tokens.push(token)
        parents.push(parent)
      }
    }
    level = next
  }
  return createDraftTree(tokens, parents)
}

const plainRanks = draftTable.map((logits) => rankTokens([...logits]))

function rankTokens(scores: number[]): Token[] {
  return scores.map((_, token) => token).sort((a, b) => scores[b]! - scores[a]!)
}

function coupledRanks(last: Token, noise: NoiseField, position: number): Token[] {
  const scores: number[] = []
  for (const logit of draftTable[last]!) scores.push(logit + noise.gumbel(position, scores.length))
  return rankTokens(scores)
}

/** What is under test, for one seed: right in the tests of the rules, wrong in those of planted bugs. */
export interface Contestant {
  readonly verifier: Verifier
  /** The target's choices in a tree behind `history`, the committed tokens before the root. */
  target(tree: DraftTree, history: readonly Token[]): TargetChoices
}

/** A sampler's choices over the scripted target. */
export function scriptedTarget(sampler: Sampler, tree: DraftTree, history: readonly Token[]): TargetChoices {
  return createTargetChooser({ sampler, history, logits: scriptedRows(tree) })
}

const targetRows = createLogitsRows(Float32Array.from(targetTable.flatMap((row) => [...row])), vocabSize)

function scriptedRows({ tokens }: DraftTree): LogitsRows {
  return {
    rows: tokens.length,
    vocabSize,
    argMax: (node) => targetRows.argMax(tokens[node]!),
    gumbelArgMax: (node, choice) => targetRows.gumbelArgMax(tokens[node]!, choice),
    read: (node) => targetRows.read(tokens[node]!),
  }
}

/** The model's own logits after a node, before any processor. */
export function rawLogitsOf(tree: DraftTree, node: number): Float32Array {
  return targetTable[tree.tokens[node]!]!
}

export interface Experiment {
  readonly shape: TreeShape
  readonly isCoupled: boolean
  readonly samples: number
  /** Tokens per sample, of which the joint distribution is taken. */
  readonly length: number
  create(seed: number, noise: NoiseField): Contestant
}

/** Runs an experiment; returns how often each continuation of the prompt was emitted. */
export async function countContinuations(experiment: Experiment): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (let seed = 0; seed < experiment.samples; seed++) {
    const outcome = (await emitTokens(experiment, seed)).join()
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  }
  return counts
}

/** The first tokens that cycles of drafting and verification emit behind the prompt. */
export async function emitTokens(experiment: Omit<Experiment, 'samples'>, seed: number): Promise<Token[]> {
  const { shape, isCoupled, length } = experiment
  const noise = createNoiseField(seed)
  const { verifier, target } = experiment.create(seed, noise)
  const context = [...prompt]
  while (context.length < prompt.length + length) {
    const tree = draftTreeOf(shape, context, isCoupled ? noise : undefined)
    const history = context.slice(0, -1)
    const verdict = await verifier.verify({ tree, target: target(tree, history), rootPosition: history.length })
    for (const node of verdict.path.subarray(1)) context.push(tree.tokens[node]!)
    context.push(verdict.bonusToken)
  }
  return context.slice(prompt.length, prompt.length + length)
}

/** The exact probability of every continuation of the prompt. */
export function exactContinuations(options: SamplerOptions, length: number): Map<string, number> {
  let open: { context: Token[]; prob: number }[] = [{ context: [...prompt], prob: 1 }]
  for (let i = 0; i < length; i++) {
    open = open.flatMap(({ context, prob }) =>
      naiveProbs(targetTable[context.at(-1)!]!, options, context).map((next, token) => ({
        context: [...context, token],
        prob: prob * next,
      })),
    )
  }
  return new Map(open.map(({ context, prob }) => [context.slice(prompt.length).join(), prob]))
}

/** The exact probability of every token after a context. */
export function exactNext(options: SamplerOptions, context: readonly Token[]): Map<string, number> {
  const probs = naiveProbs(targetTable[context.at(-1)!]!, options, context)
  return new Map(probs.map((prob, token) => [`${token}`, prob]))
}

/** The tokens that are emitted without any draft. */
export function plainTokens(options: SamplerOptions, seed: number, length: number): Token[] {
  const sampler = createSampler({ ...options, seed })
  const context = [...prompt]
  for (let i = 0; i < length; i++) context.push(sampler.choose(targetTable[context.at(-1)!]!, context))
  return context.slice(prompt.length)
}
