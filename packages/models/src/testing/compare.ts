import { expect } from 'vitest'

/** Largest allowed difference: `abs + rel · |expected|`; a NaN is never close. */
export interface Tolerance {
  readonly abs: number
  readonly rel: number
}

/** The golden README's advice for float32 arithmetic. */
export const hiddenTolerance: Tolerance = { abs: 1e-4, rel: 1e-4 }
export const logitsTolerance: Tolerance = { abs: 2e-4, rel: 1e-4 }

export function expectClose(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  { abs, rel }: Tolerance,
  what: string,
): void {
  if (found.length !== expected.length || expected.length === 0) {
    expect.fail(`${what} has ${found.length} numbers, expected ${expected.length}, at least one`)
  }
  for (let i = 0; i < expected.length; i++) {
    if (Math.abs(found[i]! - expected[i]!) <= abs + rel * Math.abs(expected[i]!)) continue
    expect.fail(`${what}[${i}] is ${found[i]}, expected ${expected[i]}`)
  }
}
