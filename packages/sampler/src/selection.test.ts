import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createSelector } from './selection.js'

function keepNaively(keys: number[], target: number, weights: number[]): number[] {
  const sorted = [...keys.keys()].filter((i) => keys[i]! > -Infinity).sort((a, b) => keys[b]! - keys[a]! || a - b)
  const kept: number[] = []
  let needed = target
  for (const id of sorted) {
    kept.push(id)
    needed -= weights[id]!
    if (needed <= 0) break
  }
  return kept.sort((a, b) => a - b)
}

const kept = (logits: Float64Array) => [...logits.keys()].filter((i) => logits[i]! > -Infinity)

const select = createSelector()

// Whole weights: sums are exact in any order. Lengths on both sides of the limit below which it sorts.
const key = fc.oneof(
  fc.double({ noNaN: true, min: -30, max: 30 }),
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(-Infinity, Number.MAX_VALUE, -Number.MAX_VALUE, 5e-324, -5e-324, 0),
)
const rows = fc
  .array(fc.tuple(key, fc.integer({ min: 0, max: 9 })), { minLength: 1, maxLength: 600, size: 'max' })
  .filter((row) => row.some(([k]) => k > -Infinity))

it('keeps what a sort would keep', () => {
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 3000 }), (row, target) => {
      const keys = row.map(([k]) => k)
      const weights = row.map(([, weight]) => weight)
      const logits = Float64Array.from(keys)
      select(logits, Float64Array.from(keys), target, Float64Array.from(weights))
      expect(kept(logits)).toEqual(keepNaively(keys, target, weights))
    }),
    { seed: 1, numRuns: 300 },
  )
})

it('counts tokens where no weights are given, and may cut the keys themselves', () => {
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 700 }), (row, target) => {
      const keys = row.map(([k]) => k)
      const logits = Float64Array.from(keys)
      select(logits, logits, target)
      expect(kept(logits)).toEqual(
        keepNaively(
          keys,
          target,
          keys.map(() => 1),
        ),
      )
    }),
    { seed: 2, numRuns: 200 },
  )
})

it('keeps the lowest ids of a row of equals', () => {
  const logits = new Float64Array(1000).fill(3)
  select(logits, logits, 10)
  expect(kept(logits)).toEqual([...Array(10).keys()])
})

it('narrows a range down through clusters of clusters', () => {
  const logits = Float64Array.from({ length: 5000 }, (_, i) => -(2 ** -(i % 900)) - i * 1e-14)
  const sorted = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]! || a - b)
  for (const target of [1, 77, 2500, 4999]) {
    const cut = logits.slice()
    select(cut, cut, target)
    expect(kept(cut)).toEqual(sorted.slice(0, target).sort((a, b) => a - b))
  }
})
