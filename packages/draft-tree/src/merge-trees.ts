import { checkNumber, type DraftTree, type Token, type Verdict } from '@hass-engine/core'
import { bestIndices } from './best.js'
import { childOf } from './child-of.js'
import { TreeMismatchError } from './errors.js'
import { monotoneValues, subtree } from './subtree.js'

/**
 * The union of two trees: nodes with the same tokens from the root are one node. The first tree's nodes keep their
 * numbers, the second's new ones follow; a common node takes the larger log-probability.
 *
 * @throws TreeMismatchError `HASS_ERR_TREE_MISMATCH` if the root tokens differ
 */
export function mergeTrees(first: DraftTree, second: DraftTree): DraftTree {
  if (first.tokens[0] !== second.tokens[0]) {
    throw new TreeMismatchError(
      `Trees with the root tokens ${first.tokens[0]} and ${second.tokens[0]} cannot be united; draft both from one root.`,
      { roots: [first.tokens[0], second.tokens[0]] },
    )
  }
  const tokens: number[] = []
  const parents: number[] = []
  const depths: number[] = []
  const logProbs: number[] = []
  const nodeOf = new Map<string, number>()
  for (const tree of [first, second]) {
    const numbers = new Int32Array(tree.tokens.length)
    for (let node = 0; node < numbers.length; node++) {
      const parent = node === 0 ? -1 : numbers[tree.parents[node]!]!
      const key = `${parent} ${tree.tokens[node]}`
      const known = nodeOf.get(key)
      numbers[node] = known ?? tokens.length
      if (known !== undefined) {
        logProbs[known] = Math.max(logProbs[known]!, tree.logProbs[node]!)
        continue
      }
      nodeOf.set(key, tokens.length)
      tokens.push(tree.tokens[node]!)
      parents.push(parent)
      depths.push(tree.depths[node]!)
      logProbs.push(tree.logProbs[node]!)
    }
  }
  return {
    tokens: Uint32Array.from(tokens),
    parents: Int32Array.from(parents),
    depths: Uint16Array.from(depths),
    logProbs: Float32Array.from(logProbs),
  }
}

/**
 * The root and the `maxNodes` most probable drafted nodes, in their order; of equals the earlier.
 *
 * Closed under parents whatever the numbers are: a node ranks no higher than its parent.
 *
 * @throws InvalidArgumentError if `maxNodes` is no non-negative integer
 */
export function pruneTree(tree: DraftTree, maxNodes: number): DraftTree {
  checkNumber(maxNodes, 'maxNodes', { min: 0, isInteger: true })
  return subtree(tree, bestIndices(monotoneValues(tree, tree.logProbs), maxNodes + 1).sort())
}

/**
 * What a verdict on one tree says of another tree with the same root: the accepted nodes as far as the other has
 * them, and the token that was emitted after those.
 */
export function projectVerdict(tree: DraftTree, verdict: Verdict, onto: DraftTree): Verdict {
  const path = [0]
  for (let step = 1; ; step++) {
    const choice: Token = step < verdict.path.length ? tree.tokens[verdict.path[step]!]! : verdict.bonusToken
    const last = path[path.length - 1]!
    const child = childOf(onto, last, choice)
    if (step === verdict.path.length || child === -1) return { path: Uint32Array.from(path), bonusToken: choice }
    path.push(child)
  }
}
