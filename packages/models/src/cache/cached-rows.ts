import { DisposedError, InvalidArgumentError } from '@hass-engine/core'
import { ContextLengthError } from '../errors.js'
import type { SlotPool } from './slot-pool.js'

/**
 * Where one sequence lies in a cache: the slots of its committed tokens in logical order, and the slots of its open
 * rows, which hang on the last committed token as a tree and are kept or forgotten by `commit`.
 */
export class CachedRows {
  readonly #pool: SlotPool
  readonly #maxLength: number
  #committed = new Uint32Array(64)
  #length = 0
  #open: OpenRow[] = []
  #isHeld = false
  #isDisposed = false

  constructor(pool: SlotPool, maxLength: number) {
    this.#pool = pool
    this.#maxLength = maxLength
  }

  /** Committed tokens. */
  get length(): number {
    return this.#length
  }

  get numOpen(): number {
    return this.#open.length
  }

  /** `[length]`, a view that the next `commit` makes invalid. */
  get committed(): Uint32Array {
    return this.#committed.subarray(0, this.#length)
  }

  slot(row: number): number {
    return this.#open[row]!.slot
  }

  /** Slots of the first `count` open rows. */
  slots(count: number): number[] {
    return this.#open.slice(0, count).map(({ slot }) => slot)
  }

  parent(row: number): number {
    return this.#open[row]!.parent
  }

  /** Edges between the last committed token and an open row: 1 for its children; 0 for -1, the token itself. */
  depth(row: number): number {
    return row < 0 ? 0 : this.#open[row]!.depth
  }

  /** Index of an open row's token in its sequence. */
  position(row: number): number {
    return this.#length + this.depth(row) - 1
  }

  /** The slots from below open row `above` (-1: from the first) down to `row`, that one included. */
  pathSlots(row: number, above: number): Uint32Array {
    const slots = new Uint32Array(this.depth(row) - this.depth(above))
    for (let at = row, i = slots.length; i > 0; at = this.parent(at)) slots[--i] = this.slot(at)
    return slots
  }

  /**
   * Opens rows behind those that are open.
   *
   * @param parents `[rows]` numbers of open rows, earlier ones of this call included; -1 is the last committed token
   * @throws InvalidArgumentError, ContextLengthError, CacheFullError; then nothing has changed
   */
  open(parents: ArrayLike<number>): void {
    this.checkLive()
    const depths = this.#depthsOf(parents)
    const deepest = depths.reduce((most, depth) => Math.max(most, depth), 0)
    if (this.#length + deepest > this.#maxLength) throw new ContextLengthError(this.#length + deepest, this.#maxLength)
    const slots = this.#pool.take(parents.length)
    for (let i = 0; i < parents.length; i++) {
      this.#open.push({ slot: slots[i]!, parent: parents[i]!, depth: depths[i]! })
    }
  }

  /**
   * Keeps open rows, in order, and forgets the others.
   *
   * @throws InvalidArgumentError for rows that are no path from the last committed token
   */
  commit(rows: ArrayLike<number>): void {
    this.checkLive()
    if (this.#isHeld) {
      throw new InvalidArgumentError('A sequence cannot be committed while a pass over it is running: await the pass.')
    }
    const kept = Array.from(rows)
    for (const [i, row] of kept.entries()) {
      const expected = kept[i - 1] ?? -1
      const found = this.#open[row]?.parent
      if (found === expected) continue
      throw new InvalidArgumentError(
        `Row ${row} cannot be committed at place ${i}: ${found === undefined ? `the step has ${this.#open.length} rows` : `its parent is ${found}, expected ${expected}`}.`,
        { row, found, expected },
      )
    }
    this.#reserve(this.#length + kept.length)
    let next = 0
    for (const [row, { slot }] of this.#open.entries()) {
      // A path's rows ascend.
      if (row === kept[next]) {
        this.#committed[this.#length++] = slot
        next += 1
      } else {
        this.#pool.release([slot])
      }
    }
    this.#open = []
  }

  /** Forgets all open rows, or those from number `from` on. */
  close(from = 0): void {
    this.#pool.release(this.#open.splice(from).map(({ slot }) => slot))
  }

  /** Another sequence of the first `length` committed tokens, in the same slots. */
  fork(length: number): CachedRows {
    this.checkLive()
    const fork = new CachedRows(this.#pool, this.#maxLength)
    fork.#committed = this.#committed.slice(0, Math.max(length, 64))
    fork.#length = length
    this.#pool.share(fork.committed)
    return fork
  }

  /** Gives all slots back, behind the pass that holds them if there is one; a second call does nothing. */
  dispose(): void {
    this.#isDisposed = true
    if (this.#isHeld) return
    this.close()
    this.#pool.release(this.committed)
    this.#length = 0
  }

  /** A pass over the open rows begins: their slots must stay theirs. */
  hold(): void {
    this.#isHeld = true
  }

  /** The pass has ended. */
  letGo(): void {
    this.#isHeld = false
    if (this.#isDisposed) this.dispose()
  }

  /** @throws DisposedError */
  checkLive(): void {
    if (this.#isDisposed) throw new DisposedError('sequence')
  }

  #depthsOf(parents: ArrayLike<number>): number[] {
    const first = this.#open.length
    const depths: number[] = []
    for (let i = 0; i < parents.length; i++) {
      const parent = parents[i]!
      if (!Number.isInteger(parent) || parent < -1 || parent >= first + i) {
        throw new InvalidArgumentError(`Row ${i} has the parent ${parent}, expected -1 to ${first + i - 1}.`, {
          row: i,
          parent,
        })
      }
      depths.push(1 + (parent < first ? this.depth(parent) : depths[parent - first]!))
    }
    return depths
  }

  #reserve(length: number): void {
    if (length <= this.#committed.length) return
    const grown = new Uint32Array(2 * length)
    grown.set(this.committed)
    this.#committed = grown
  }
}

interface OpenRow {
  readonly slot: number
  readonly parent: number
  readonly depth: number
}
