import {
  checkNumber,
  checkOptionKeys,
  createDraftTree,
  type DraftTree,
  type Frontier,
  type Token,
  type TreePolicy,
} from '@hass-engine/core'
import { childOf } from './child-of.js'
import { checkDepth, checkNodes, levelsOf } from './limits.js'
import { pruneTree } from './merge-trees.js'

export interface NgramOptions {
  /** Shortest end of the text that must have occurred before, in tokens, 1 to 64. Defaults to 2. */
  readonly minMatch?: number
  /** Longest end of the text that is looked for, minMatch to 64. Defaults to 4. */
  readonly maxMatch?: number
  /** Tokens that are proposed of what followed an occurrence, 1 to 128. Defaults to 8. */
  readonly depth?: number
  /** Occurrences that are united in one tree, the latest first, 1 to 256. Defaults to 4. */
  readonly matches?: number
  /** Nodes of the tree, the root excluded, 1 to 4096. Defaults to 16. */
  readonly maxNodes?: number
  /** Tokens of the text that are searched, counted from its end. Defaults to 65536. */
  readonly window?: number
}

/**
 * Prompt lookup: proposes what followed the last tokens of the text where they occurred before. Needs no draft
 * model (`width` 0) but the cycle's `history`; without it the tree is the root alone.
 *
 * The longest match wins; one pass over the history per cycle, about two nanoseconds a token. A node's probability is
 * its share of the continuations times the acceptance rate of matches of its length, which `observe` measures.
 *
 * @throws InvalidArgumentError for an unknown option or a number out of bounds
 */
export function ngram(options: NgramOptions = {}): TreePolicy {
  checkOptionKeys(options, ['minMatch', 'maxMatch', 'depth', 'matches', 'maxNodes', 'window'], 'ngram')
  const minMatch = checkNumber(options.minMatch ?? 2, 'minMatch', { min: 1, max: 64, isInteger: true })
  const maxMatch = checkNumber(options.maxMatch ?? Math.max(4, minMatch), 'maxMatch', {
    min: minMatch,
    max: 64,
    isInteger: true,
  })
  const depth = checkDepth(options.depth ?? 8, 'depth')
  const maxMatches = checkNumber(options.matches ?? 4, 'matches', { min: 1, max: 256, isInteger: true })
  const maxNodes = checkNodes(options.maxNodes ?? 16, 'maxNodes')
  const window = checkNumber(options.window ?? 65536, 'window', { min: 1 })
  const rates = new MatchRates(maxMatch)
  const matchLengths = new WeakMap<DraftTree, number>()

  return {
    name: 'ngram',
    width: 0,
    maxNodes,
    start(cycle) {
      const levels = levelsOf(cycle, depth)
      return {
        expand: (): Frontier => ({ tokens: new Uint32Array(0), parents: new Uint32Array(0) }),
        finish() {
          const history = cycle.history ?? []
          const found = findMatches(history, { minMatch, maxMatch, maxMatches, window })
          const whole = continuationTree(cycle.root, history, found, levels, (length) => rates.get(length))
          const tree = pruneTree(whole, maxNodes)
          matchLengths.set(tree, found.length)
          return tree
        },
      }
    },
    observe(tree, verdict) {
      const length = matchLengths.get(tree)
      if (length === undefined) return
      // The token after the last accepted node judges what stands there, whether it was verified or left out.
      const choices = [...Array.from(verdict.path.subarray(1), (node) => tree.tokens[node]!), verdict.bonusToken]
      for (const [step, node] of verdict.path.entries()) {
        const children = tree.tokens.filter((_, child) => tree.parents[child] === node)
        if (children.length === 0) return
        rates.record(length + step, children.includes(choices[step]!))
      }
    },
  }
}

/** Where the end of a text occurred before. */
interface Matches {
  /** Tokens that agree. */
  readonly length: number
  /** Indices of the tokens that followed, the latest first. */
  readonly ends: readonly number[]
}

function findMatches(
  history: ArrayLike<Token>,
  limits: { minMatch: number; maxMatch: number; maxMatches: number; window: number },
): Matches {
  const last = history.length - 1
  const oldest = Math.max(0, history.length - limits.window)
  let best = limits.minMatch
  let ends: number[] = []
  for (let at = last - 1; at >= oldest; at--) {
    if (history[at] !== history[last]) continue
    let length = 1
    while (length < limits.maxMatch && at - length >= oldest && history[at - length] === history[last - length])
      length++
    if (length < best) continue
    if (length > best) ends = []
    best = length
    if (ends.length < limits.maxMatches) ends.push(at + 1)
    else if (best === limits.maxMatch) break
  }
  return { length: best, ends }
}

function continuationTree(
  root: Token,
  history: ArrayLike<Token>,
  { length, ends }: Matches,
  levels: number,
  rateOf: (matchLength: number) => number,
): DraftTree {
  const tokens = [root]
  const parents = [-1]
  const counts = [0]
  const depths = [0]
  for (const end of ends) {
    let node = 0
    for (let at = end; at < history.length && at - end < levels; at++) {
      counts[node]!++
      const token = history[at]!
      let child = childOf({ tokens, parents }, node, token)
      if (child === -1) {
        child = tokens.length
        tokens.push(token)
        parents.push(node)
        counts.push(0)
        depths.push(depths[node]! + 1)
      }
      node = child
    }
    counts[node]!++
  }
  const logProbs = [0]
  for (let node = 1; node < tokens.length; node++) {
    const parent = parents[node]!
    const prob = (counts[node]! / counts[parent]!) * rateOf(length + depths[parent]!)
    logProbs.push(logProbs[parent]! + Math.log(prob))
  }
  return createDraftTree(tokens, parents, logProbs)
}

/** How often the continuation of a match is right, by its length. */
class MatchRates {
  readonly #hits: Float64Array
  readonly #trials: Float64Array

  /** A match of n tokens begins as if it had been right in n of n + 2 cases, eight times seen. */
  constructor(maxMatch: number) {
    this.#trials = new Float64Array(maxMatch + 1).fill(8)
    this.#hits = this.#trials.map((trials, length) => (trials * length) / (length + 2))
  }

  get(length: number): number {
    const at = this.#at(length)
    return this.#hits[at]! / this.#trials[at]!
  }

  record(length: number, isRight: boolean): void {
    const at = this.#at(length)
    // The last two hundred or so count: texts change.
    this.#trials[at] = this.#trials[at]! * 0.995 + 1
    this.#hits[at] = this.#hits[at]! * 0.995 + (isRight ? 1 : 0)
  }

  #at(length: number): number {
    return Math.min(length, this.#trials.length - 1)
  }
}
