import type { DraftCandidates, Frontier } from './drafting.js'
import type { Token } from './token.js'

/** A value, or a promise of it where a device must be waited for. */
export type Awaitable<T> = T | Promise<T>

/**
 * How a sequence's next token is chosen, as data: what device kernels need to choose, and what a draft model needs
 * to guess the choice (coupled candidates, see the concepts page).
 */
export interface ChoiceRule {
  /** 0 means arg max. */
  readonly temperature: number
  /** 64-bit key of the noise field. */
  readonly seed: bigint
  /** Keep the so many most probable tokens. Absent means all. */
  readonly topK?: number
  /** Keep the smallest set whose probability reaches this. Absent means all. */
  readonly topP?: number
  /** Keep tokens with at least this share of the largest probability. Absent means all. */
  readonly minP?: number
}

/** Logits `[rows, vocabSize] float32` wherever they are kept; a device answers the cheap questions without a copy. */
export interface LogitsRows {
  readonly rows: number
  readonly vocabSize: number
  /** The token with the largest logit; of equals the lowest id. */
  argMax(row: number): Awaitable<Token>
  /** `argmax_v(logit_v / temperature + G(seed, position, v))`; topK, topP and minP are not its business. */
  gumbelArgMax(row: number, choice: { temperature: number; seed: bigint; position: number }): Awaitable<Token>
  /** `[vocabSize] float32`, a copy. */
  read(row: number): Awaitable<Float32Array>
}

/** Features `[rows, hiddenSize]` wherever they are kept, for a draft model of the same backend. */
export interface FeatureRows {
  readonly rows: number
  readonly hiddenSize: number
  /** `[hiddenSize] float32`, a copy. */
  read(row: number): Awaitable<Float32Array>
}

/** One sequence's committed context in a model's cache. */
export interface ModelSequence {
  /** Committed tokens. */
  readonly length: number
  /** A new sequence that shares this one's first `length` tokens. Absent where the cache cannot be shared. */
  fork?(options: { readonly length: number }): ModelSequence
  /** Frees the cache; a second call does nothing. */
  dispose(): void
}

export interface TargetSequence extends ModelSequence {
  /**
   * Keeps rows of this sequence's last step, in order, and forgets the others.
   *
   * @param rows `[kept]` row numbers, each the parent of the next; none forgets the whole step
   */
  commit(rows: ArrayLike<number>): void
  fork?(options: { readonly length: number }): TargetSequence
}

/**
 * Rows to append to a sequence's committed context. A prefill chunk, a decode step and a tree are one thing:
 * the parents tell them apart.
 */
export interface SequenceStep {
  readonly sequence: TargetSequence
  /** `[rows]` */
  readonly tokens: Uint32Array
  /** `[rows]`, an earlier row, or -1 for the last committed token. */
  readonly parents: Int32Array
  /** Which rows' logits will be asked for. Defaults to `'all'`. */
  readonly logits?: 'all' | 'last' | 'none'
  /**
   * What `gumbelArgMax` will be asked of these rows, each at the position behind its own: a device may then choose in
   * the same pass. Changes the speed only. Absent where the arg max is what counts, or the rows are read.
   */
  readonly choice?: Pick<ChoiceRule, 'temperature' | 'seed'>
}

export interface TargetOutput {
  /** Indexed by the step's rows; rows that were not asked for cannot be read. */
  readonly logits: LogitsRows
  readonly features: FeatureRows
}

export interface ForwardOptions {
  readonly signal?: AbortSignal
}

/** The model whose text must be preserved. Any mix of sequences in one pass; no row's bits depend on another row. */
export interface TargetModel {
  readonly vocabSize: number
  readonly hiddenSize: number
  /** Longest sequence, in tokens. */
  readonly maxContext: number
  createSequence(): TargetSequence
  /** Output i belongs to step i. Outputs are valid until the sequence's next step. */
  forward(steps: readonly SequenceStep[], options?: ForwardOptions): Promise<TargetOutput[]>
}

/**
 * What the draft head reads before a cycle. Row i pairs `tokens[i]`, the token at position t + 1, with the target's
 * feature of position t; the last token is the root, whose candidates are wanted.
 */
export interface DraftContext {
  readonly sequence: ModelSequence
  /** `[rows]` */
  readonly tokens: Uint32Array
  readonly features: FeatureRows
  /** `[rows]`, the rows of `features` that belong to `tokens`. */
  readonly featureRows: ArrayLike<number>
  /** Candidates wanted per row in this cycle. */
  readonly width: number
  /** Present if candidates shall be coupled with the target's noise; absent for plain ones. */
  readonly coupling?: ChoiceRule
}

export interface DraftFrontier {
  readonly sequence: ModelSequence
  /** May be empty: that sequence's drafting has ended. */
  readonly frontier: Frontier
}

/** Proposes candidates. Batched over sequences: one pass per level for all of them. */
export interface DraftModel {
  createSequence(): ModelSequence
  /** Forgets drafted rows, appends the context's rows for good; returns the candidates of each last row. */
  begin(contexts: readonly DraftContext[], options?: ForwardOptions): Promise<DraftCandidates[]>
  /** Runs one level of drafted rows; they stay until the sequence's next `begin`. */
  extend(frontiers: readonly DraftFrontier[], options?: ForwardOptions): Promise<DraftCandidates[]>
}
