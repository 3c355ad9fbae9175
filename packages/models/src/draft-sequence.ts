import { checkNumber, checkOptionKeys, type ModelSequence } from '@hass-engine/core'
import type { CachedRows } from './cache/cached-rows.js'
import type { CandidateRule } from './draft-candidates.js'
import type { ForkOptions } from './target-sequence.js'

/** What a draft head knows of one sequence: its cache, and the drafted rows of the present cycle. */
export class DraftSequence implements ModelSequence {
  /** @internal The head that it belongs to. */
  readonly head: unknown
  /** @internal Open rows are the drafted ones: row i of a cycle, i ≥ 1, is open row i - 1; row 0 is committed. */
  readonly cached: CachedRows
  /** @internal Rows of the present cycle; none before the first `begin`. */
  numRows = 0
  /** @internal */
  rule: CandidateRule | undefined

  /** @internal Use `createSequence`. */
  constructor(head: unknown, cached: CachedRows) {
    this.head = head
    this.cached = cached
  }

  /** Rows computed from the target's features: one less than the tokens of the text that they know. */
  get length(): number {
    return this.cached.length
  }

  /**
   * A new sequence that shares the first rows of this one. Row t has read token t + 1, so texts that begin with the
   * same n tokens have n - 1 rows in common.
   *
   * @throws InvalidArgumentError for more rows than there are
   */
  fork(options: ForkOptions = {}): DraftSequence {
    checkOptionKeys(options, ['length'], 'fork')
    const length = options.length ?? this.length
    checkNumber(length, 'length', { min: 0, max: this.length, isInteger: true })
    return new DraftSequence(this.head, this.cached.fork(length))
  }

  /** Frees the cache; a second call does nothing. */
  dispose(): void {
    this.cached.dispose()
    this.numRows = 0
  }

  /** @internal Forgets drafted rows. */
  beginCycle(rule: CandidateRule): void {
    this.cached.close()
    this.numRows = 0
    this.rule = rule
  }

  /** @internal Slot of a row of the present cycle: what the row predicted lies beside it. */
  slot(row: number): number {
    const { cached } = this
    return row === 0 ? cached.committed[cached.length - 1]! : cached.slot(row - 1)
  }
}
