import { floatToBf16, floatToF16 } from '@hass-engine/core'
import type { DeviceDType } from '../program.js'

/** Numbers from a seed, the same on every machine: mulberry32. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** From `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.integer(0, items.length - 1)]!
  }

  /** Of both signs and of magnitudes around `scale`, some much smaller. */
  floats(count: number, scale = 1): Float32Array {
    return Float32Array.from({ length: count }, () => (this.next() * 2 - 1) * scale * (this.next() < 0.1 ? 1e-3 : 1))
  }

  permutation(count: number): number[] {
    const items = Array.from({ length: count }, (_, i) => i)
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(0, i)
      ;[items[i], items[j]] = [items[j]!, items[i]!]
    }
    return items
  }

  /** Row-major elements of a plain dtype. */
  elements(dtype: DeviceDType, count: number): Float32Array | Uint16Array {
    const values = this.floats(count)
    if (dtype === 'F16') return Uint16Array.from(values, floatToF16)
    if (dtype === 'BF16') return Uint16Array.from(values, floatToBf16)
    return values
  }
}
