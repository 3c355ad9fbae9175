import { expect, it } from 'vitest'
import { chiSquare, upperGamma } from './chi-square.js'

it.each([
  // The printed 5 % and 0.1 % points of the distribution.
  [1, 3.841, 0.05],
  [10, 18.307, 0.05],
  [100, 124.342, 0.05],
  [1, 10.828, 0.001],
  [10, 29.588, 0.001],
  [100, 149.449, 0.001],
])('has the right p-value for %i degrees of freedom at %f', (degrees, statistic, expected) => {
  expect(upperGamma(degrees / 2, statistic / 2) / expected).toBeCloseTo(1, 2)
})

it('is exact far out in the tail, where two degrees of freedom have a closed form', () => {
  for (const x of [0.1, 1, 5, 30, 200]) expect(upperGamma(1, x) / Math.exp(-x)).toBeCloseTo(1, 9)
  expect(upperGamma(3, 0)).toBe(1)
})

const probs = new Map([
  ['a', 0.5],
  ['b', 0.5],
  ['c', 0],
])

it('computes the statistic by hand', () => {
  const result = chiSquare(
    new Map([
      ['a', 60],
      ['b', 40],
    ]),
    probs,
  )
  expect(result).toMatchObject({ statistic: 4, degreesOfFreedom: 1 })
  expect(result.pValue).toBeCloseTo(0.0455, 4)
})

it('does not forgive the impossible', () => {
  expect(chiSquare(new Map([['c', 1]]), probs).pValue).toBe(0)
  expect(chiSquare(new Map([['d', 1]]), probs).pValue).toBe(0)
})

it('pools what is too rare to be tested by itself, and counts it still', () => {
  const rare = new Map([['a', 0.98], ...Array.from({ length: 10 }, (_, i) => [`r${i}`, 0.002] as const)])
  expect(
    chiSquare(
      new Map([
        ['a', 980],
        ['r0', 20],
      ]),
      rare,
    ),
  ).toMatchObject({ statistic: 0, degreesOfFreedom: 1 })
  expect(
    chiSquare(
      new Map([
        ['a', 800],
        ['r0', 200],
      ]),
      rare,
    ).pValue,
  ).toBeLessThan(1e-6)
})
