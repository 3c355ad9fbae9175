import type { DraftTree } from './draft-tree.js'
import type { Token } from './token.js'

/** What of a draft tree was accepted. */
export interface Verdict {
  /** `[accepted + 1]` nodes from the root, which is always kept, to the last accepted node. */
  readonly path: Uint32Array
  /** The token that the target itself emits after the last accepted node. */
  readonly bonusToken: Token
}

/**
 * The target's view of a tree, asked only for nodes that the walk visits. `path` are the tokens from the root to
 * `node`, both included: penalties and masks see them as history.
 */
export interface TargetChoices {
  /** The target's own choice after a node: processors, history and noise are inside. */
  choose(node: number, path: readonly Token[]): Token | Promise<Token>
  /** `[vocabSize] float64`, the target's distribution after a node, all processors applied; the caller may change it. */
  probs(node: number, path: readonly Token[]): Float64Array | Promise<Float64Array>
}

/**
 * A rule that accepts part of a tree.
 *
 * `lossless`: the emitted text has the target's distribution (and for `exactMatch` is the target's text).
 * `lossy`: it has not; whoever takes such a rule sees it in its type.
 */
export interface Verifier<Fidelity extends 'lossless' | 'lossy' = 'lossless' | 'lossy'> {
  readonly name: string
  readonly fidelity: Fidelity
  verify(input: VerifyInput): Promise<Verdict>
}

export interface VerifyInput {
  readonly tree: DraftTree
  readonly target: TargetChoices
  /** Absolute index of the root in its sequence: the token chosen after the root stands at `rootPosition + 1`. */
  readonly rootPosition: number
}
