/**
 * One check of a contract. Suites are plain lists, so that any test runner can run them:
 *
 *     for (const { name, run } of treePolicyCases(() => chain({ depth: 4 }))) it(name, run)
 */
export interface ContractCase {
  readonly name: string
  /** Throws or rejects (`AssertionError`) where the contract is broken. */
  run(): void | Promise<void>
}

/** A small repeatable generator (mulberry32) of uniform numbers in [0, 1): suites must fail the same way twice. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
