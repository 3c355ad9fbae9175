import { CacheFullError } from '../errors.js'

/** The slots of a key-value cache, each with the number of sequences that keep a token in it. */
export class SlotPool {
  readonly capacity: number
  readonly #owners: Uint32Array
  /** A stack: its first `#numFree` entries are the free slots. */
  readonly #free: Uint32Array
  #numFree: number

  constructor(capacity: number) {
    this.capacity = capacity
    this.#owners = new Uint32Array(capacity)
    // From the top down, so that the slots of a first prompt lie next to each other and ascend.
    this.#free = Uint32Array.from({ length: capacity }, (_, i) => capacity - 1 - i)
    this.#numFree = capacity
  }

  get numFree(): number {
    return this.#numFree
  }

  /**
   * `[count]` slots with one owner.
   *
   * @throws CacheFullError `HASS_ERR_CACHE_FULL`; then none was taken
   */
  take(count: number): Uint32Array {
    if (count > this.#numFree) throw new CacheFullError(count, this.#numFree, this.capacity)
    const slots = this.#free.slice(this.#numFree - count, this.#numFree).reverse()
    this.#numFree -= count
    for (const slot of slots) this.#owners[slot] = 1
    return slots
  }

  /** Gives slots that are taken one more owner. */
  share(slots: Iterable<number>): void {
    for (const slot of slots) this.#owners[slot]!++
  }

  /** Takes one owner from each slot; those without any are free again. */
  release(slots: Iterable<number>): void {
    for (const slot of slots) {
      if (--this.#owners[slot]! === 0) this.#free[this.#numFree++] = slot
    }
  }
}
