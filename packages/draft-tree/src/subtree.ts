import type { DraftTree } from '@hass-engine/core'

/** The tree of some of a tree's nodes, ascending, the root among them and each node's parent too. */
export function subtree(tree: DraftTree, nodes: ArrayLike<number>): DraftTree {
  const count = nodes.length
  const tokens = new Uint32Array(count)
  const parents = new Int32Array(count)
  const depths = new Uint16Array(count)
  const logProbs = new Float32Array(count)
  const newNumber = new Int32Array(tree.tokens.length)
  for (let i = 0; i < count; i++) {
    const node = nodes[i]!
    newNumber[node] = i
    tokens[i] = tree.tokens[node]!
    parents[i] = i === 0 ? -1 : newNumber[tree.parents[node]!]!
    depths[i] = tree.depths[node]!
    logProbs[i] = tree.logProbs[node]!
  }
  return { tokens, parents, depths, logProbs }
}

/**
 * Numbers by which nodes can be ranked and stay closed under parents, `[nodes] float64`: no node's is above its
 * parent's, and NaN is the least.
 *
 * @param values `[nodes]`, by node
 */
export function monotoneValues(tree: DraftTree, values: ArrayLike<number>): Float64Array {
  const result = new Float64Array(tree.tokens.length)
  result[0] = Infinity
  for (let node = 1; node < result.length; node++) {
    const value = values[node]!
    result[node] = Number.isNaN(value) ? -Infinity : Math.min(value, result[tree.parents[node]!]!)
  }
  return result
}
