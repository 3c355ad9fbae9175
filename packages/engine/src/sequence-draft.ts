import {
  createDraftTree,
  type DraftCandidates,
  type DraftCycle,
  type DraftTree,
  type Frontier,
  InvalidArgumentError,
  type TreeBuilder,
} from '@hass-engine/core'
import type { SpeculativeSequence } from './speculative-sequence.js'

/**
 * One sequence's drafting in one cycle. A policy is the caller's own code: what it throws, and what it returns that is
 * no frontier or no tree, ends the cycle of its own sequence and of no other.
 */
export class SequenceDraft {
  readonly sequence: SpeculativeSequence
  readonly #cycle: DraftCycle
  readonly #vocabSize: number
  #builder: TreeBuilder | undefined
  #rows = 1
  #failure: { readonly reason: unknown } | undefined

  constructor(sequence: SpeculativeSequence, cycle: DraftCycle, vocabSize: number) {
    this.sequence = sequence
    this.#cycle = cycle
    this.#vocabSize = vocabSize
    this.#guard(() => {
      this.#builder = sequence.policy.start(cycle)
    })
  }

  /** Candidates wanted of the root's row. */
  get width(): number {
    return this.#builder?.width ?? this.sequence.policy.width
  }

  /** Why this sequence's cycle has ended, if it has. */
  get failure(): { readonly reason: unknown } | undefined {
    return this.#failure
  }

  /** The next frontier; empty where drafting ends. */
  expand(candidates: DraftCandidates): Frontier {
    const none = { tokens: new Uint32Array(), parents: new Uint32Array() }
    return (
      this.#guard(() => {
        const frontier = this.#builder!.expand(candidates)
        this.#checkFrontier(frontier)
        this.#rows += frontier.tokens.length
        return frontier
      }) ?? none
    )
  }

  /** The tree that the policy wants verified; undefined where it has failed. */
  finish(): DraftTree | undefined {
    return this.#guard(() => {
      const tree = this.#builder!.finish()
      this.#checkTree(tree)
      return tree
    })
  }

  #guard<Result>(work: () => Result): Result | undefined {
    if (this.#failure) return undefined
    try {
      return work()
    } catch (reason) {
      this.#failure = { reason }
      return undefined
    }
  }

  #checkFrontier({ tokens, parents }: Frontier): void {
    const isValid =
      tokens.length === parents.length &&
      tokens.every((token) => token < this.#vocabSize) &&
      parents.every((parent) => parent < this.#rows)
    if (!isValid) this.#refuse(`returned a frontier that names tokens or rows that there are not`)
  }

  #checkTree(tree: DraftTree): void {
    const { root, maxDepth } = this.#cycle
    const { depths } = createDraftTree(tree.tokens, tree.parents)
    const nodes = tree.tokens.length - 1
    const deepest = depths.reduce((most, depth) => Math.max(most, depth), 0)
    if (tree.tokens[0] !== root) this.#refuse(`returned a tree of root ${tree.tokens[0]}, expected ${root}`)
    if (nodes > this.sequence.policy.maxNodes) this.#refuse(`returned ${nodes} nodes, more than its maxNodes`)
    if (deepest > maxDepth!) this.#refuse(`returned a tree of depth ${deepest}, where ${maxDepth} was the limit`)
    if (tree.tokens.some((token) => token >= this.#vocabSize)) this.#refuse('returned tokens outside the vocabulary')
  }

  #refuse(what: string): never {
    const { name } = this.sequence.policy
    throw new InvalidArgumentError(`The policy ${name} ${what}.`, { policy: name })
  }
}
