import type { DraftTree } from './draft-tree.js'
import type { Token } from './token.js'
import type { Verdict } from './verification.js'

/**
 * The candidates that a draft model proposes after each row of a frontier, best first.
 *
 * The numbers come from weights that nobody vouches for: a policy must live with NaN, infinities and duplicates.
 */
export interface DraftCandidates {
  readonly rows: number
  /** Candidates per row. */
  readonly width: number
  /** `[rows, width]` row-major, best first within a row */
  readonly tokens: Uint32Array
  /**
   * `[rows, width] float32`, natural log of the probability that the target chooses this candidate after its row,
   * as the draft sees it: log q for plain candidates, a normalised score for coupled ones.
   */
  readonly logProbs: Float32Array
}

/**
 * The rows that the draft model shall run next.
 *
 * A cycle numbers its rows as they are run: row 0 is the root's (the last row of `DraftModel.begin`), the rows of
 * the first frontier are 1, 2, …, and so on. An empty frontier ends the drafting of its sequence.
 */
export interface Frontier {
  /** `[rows]`, the token that each row reads */
  readonly tokens: Uint32Array
  /** `[rows]`, number of the row whose candidate this token was; its output feature is the new row's input */
  readonly parents: Uint32Array
}

/** Milliseconds of one forward pass by the number of its rows, as measured: `rows` ascending, linear in between. */
export interface CostCurve {
  readonly rows: readonly number[]
  readonly ms: readonly number[]
}

export interface CostTables {
  /** One target pass over so many tree nodes, the root included. */
  readonly verify: CostCurve
  /** One draft pass over so many frontier rows. */
  readonly draft: CostCurve
}

export interface DraftCycle {
  readonly root: Token
  /** No tree of this cycle may be deeper: what is left of the context or of the wanted tokens. Defaults to no limit. */
  readonly maxDepth?: number
  readonly costs?: CostTables
  /** Emitted tokens per millisecond, as running average. */
  readonly rate?: number
  /** The sequence's tokens, the root last: for policies that draft from the text itself. */
  readonly history?: ArrayLike<Token>
  /** Nodes that the tree will have without a draft pass: a policy that weighs costs does not draft what they promise. */
  readonly free?: FreeNodes
}

/** A tree from the text itself, and how likely each of its nodes is accepted, `[nodes]`, 1 at the root. */
export interface FreeNodes {
  readonly tree: DraftTree
  readonly acceptance: ArrayLike<number>
}

/** Decides which candidates a draft tree holds. Never awaits: any backend can drive it. */
export interface TreePolicy {
  readonly name: string
  /** Candidates wanted per row; 0 if the policy needs no draft model. */
  readonly width: number
  /** Nodes of a tree at most, the root excluded: what a scheduler must have room for. */
  readonly maxNodes: number
  /** Begins one cycle of one sequence. */
  start(cycle: DraftCycle): TreeBuilder
  /** What became of a tree: calibration lives here, and only here. */
  observe?(tree: DraftTree, verdict: Verdict): void
  /**
   * `[nodes]`, the probability that each node of any tree is accepted, 1 at the root: what sequences that share a pass
   * are weighed by. Absent where the tree's own `logProbs` say it.
   */
  acceptance?(tree: DraftTree): ArrayLike<number>
}

export interface TreeBuilder {
  /** Candidates wanted of the root's row; 0 if this cycle is not to be drafted for. Defaults to the policy's. */
  readonly width?: number
  /** Takes the candidates of the last frontier (first of all the root's, one row); returns the next frontier. */
  expand(candidates: DraftCandidates): Frontier
  /** The tree, at any time: at least the root. */
  finish(): DraftTree
}
