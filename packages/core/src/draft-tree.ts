import { InvalidArgumentError } from './errors.js'

/**
 * Candidate continuations of one sequence as a tree, to be verified in one target pass.
 *
 * Nodes are in topological order (a parent stands before its children). Node 0 is the root: the last emitted
 * token, which the target has not seen yet. `nodes` counts it; the drafted nodes are `nodes - 1`.
 */
export interface DraftTree {
  /** `[nodes]` */
  readonly tokens: Uint32Array
  /** `[nodes]`, index of the parent, -1 at the root */
  readonly parents: Int32Array
  /** `[nodes]`, 0 at the root */
  readonly depths: Uint16Array
  /** `[nodes]`, natural log of the drafted probability, summed from the root; 0 at the root */
  readonly logProbs: Float32Array
}

/**
 * Builds a tree from tokens and parents, depths derived.
 *
 * @param logProbs `[nodes] float32`, summed from the root. Defaults to zeros
 * @throws InvalidArgumentError if the lengths differ, the root is missing, or a parent does not stand before its child
 */
export function createDraftTree(
  tokens: ArrayLike<number>,
  parents: ArrayLike<number>,
  logProbs: ArrayLike<number> = new Float32Array(tokens.length),
): DraftTree {
  const nodes = tokens.length
  if (nodes === 0 || parents.length !== nodes || logProbs.length !== nodes) {
    throw new InvalidArgumentError(
      `A draft tree has ${nodes} tokens, ${parents.length} parents and ${logProbs.length} logProbs; expected the same number of each, at least one.`,
      { tokens: nodes, parents: parents.length, logProbs: logProbs.length },
    )
  }
  const depths = new Uint16Array(nodes)
  for (let node = 0; node < nodes; node++) {
    const parent = parents[node]!
    const isValid = node === 0 ? parent === -1 : Number.isInteger(parent) && parent >= 0 && parent < node
    if (!isValid) {
      throw new InvalidArgumentError(
        `Node ${node} of a draft tree has the parent ${parent}, expected ${node === 0 ? '-1, it is the root' : `0 to ${node - 1}`}.`,
        { node, parent },
      )
    }
    depths[node] = node === 0 ? 0 : depths[parent]! + 1
  }
  return {
    tokens: Uint32Array.from(tokens),
    parents: Int32Array.from(parents),
    depths,
    logProbs: Float32Array.from(logProbs),
  }
}

/** The nodes from the root to `node`, both included. */
export function pathToNode(tree: DraftTree, node: number): Uint32Array {
  const path = new Uint32Array(tree.depths[node]! + 1)
  for (let at = node, i = path.length - 1; i >= 0; i--, at = tree.parents[at]!) path[i] = at
  return path
}
