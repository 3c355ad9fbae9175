import type { FreeNodes } from '@hass-engine/core'
import { type CandidateTree, rootCandidate } from './candidate-tree.js'
import { childOf } from './child-of.js'

/** What nodes that cost no draft pass promise, and which of them the candidates of a cycle have turned out to be. */
export class FreeGains {
  readonly #nodes: FreeNodes
  /** `[candidates]`, the node that a candidate is, -1 for none */
  readonly #nodeOf: number[] = []
  readonly #isFound: Uint8Array

  constructor(nodes: FreeNodes) {
    this.#nodes = nodes
    this.#isFound = new Uint8Array(nodes.tree.tokens.length)
  }

  /** The probability that a new candidate is accepted as the node that it is; 0 if it is none. */
  match(tree: CandidateTree, candidate: number): number {
    const parent = this.#nodeFor(tree.parents[candidate]!)
    const node = parent === -1 ? -1 : childOf(this.#nodes.tree, parent, tree.tokens[candidate]!)
    this.#nodeOf[candidate] = node
    if (node === -1) return 0
    this.#isFound[node] = 1
    return this.#nodes.acceptance[node]!
  }

  /** The probabilities of the nodes that are no candidates, descending. */
  rest(): Float64Array {
    const { tree, acceptance } = this.#nodes
    const nodes = [...tree.tokens.keys()].filter((node) => node > 0 && this.#isFound[node] === 0)
    return Float64Array.from(nodes, (node) => acceptance[node]!)
      .sort()
      .reverse()
  }

  /** How likely the token after an accepted candidate, or the root, is none that these nodes hold. */
  missAfter(candidate: number): number {
    const { tree, acceptance } = this.#nodes
    const node = this.#nodeFor(candidate)
    if (node === -1) return 1
    let held = 0
    for (const [child, parent] of tree.parents.entries()) if (parent === node) held += acceptance[child]!
    return Math.max(0, 1 - held / acceptance[node]!)
  }

  #nodeFor(candidate: number): number {
    return candidate === rootCandidate ? 0 : this.#nodeOf[candidate]!
  }
}
