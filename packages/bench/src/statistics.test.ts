import { describe, expect, it } from 'vitest'
import { bootstrap, mean, percentile } from './statistics.js'

const average = (values: readonly number[]) => (groups: readonly Uint32Array[]) =>
  mean(Array.from(groups[0]!, (i) => values[i]!))

describe('percentile', () => {
  it.each([
    [[3, 1, 2], 0.5, 2],
    [[1, 2, 3, 4], 0.5, 2.5],
    // 0.95 · 3 = 2.85: between 30 and 40.
    [[40, 10, 30, 20], 0.95, 38.5],
    [[7], 0.95, 7],
    [[1, 2], 0, 1],
    [[1, 2], 1, 2],
  ])('of %j at %d is %d', (values, share, expected) => {
    expect(percentile(values, share)).toBeCloseTo(expected, 12)
  })

  it('of nothing is no number', () => {
    expect(percentile([], 0.5)).toBeNaN()
    expect(mean([])).toBeNaN()
  })

  it('refuses shares that are none', () => {
    expect(() => percentile([1], 95)).toThrow('share')
  })
})

describe('bootstrap', () => {
  it('has the statistic of the questions themselves as value', () => {
    expect(bootstrap([3], average([1, 2, 6])).value).toBe(3)
  })

  it('finds the exact interval where all resamples can be counted', () => {
    // Of two questions worth 0 and 1 a resample has mean 0, ½ or 1 with probability ¼, ½, ¼.
    const { low, high } = bootstrap([2], average([0, 1]), { level: 0.4, resamples: 4000 })
    expect([low, high]).toEqual([0.5, 0.5])
    const wide = bootstrap([2], average([0, 1]), { level: 0.95, resamples: 4000 })
    expect([wide.low, wide.high]).toEqual([0, 1])
  })

  it('is as wide as the normal interval of a mean', () => {
    const values = Array.from({ length: 400 }, (_, i) => i % 2)
    // σ / √n = 0.5 / 20, times 1.96 on each side.
    const { low, high } = bootstrap([400], average(values), { resamples: 2000 })
    expect(low).toBeCloseTo(0.5 - 0.049, 2)
    expect(high).toBeCloseTo(0.5 + 0.049, 2)
  })

  it('resamples each group within itself', () => {
    const sizes: number[][] = []
    const largest: number[] = [0, 0]
    bootstrap([2, 5], (groups) => {
      sizes.push(groups.map(({ length }) => length))
      groups.forEach((group, i) => {
        largest[i] = Math.max(largest[i]!, ...group)
      })
      return 0
    })
    expect(new Set(sizes.map(String))).toEqual(new Set(['2,5']))
    expect(largest).toEqual([1, 4])
  })

  it('depends on the seed alone', () => {
    const values = [3, 1, 4, 1, 5, 9, 2, 6]
    const of = (seed: number) => bootstrap([8], average(values), { seed, resamples: 100 })
    expect(of(1)).toEqual(of(1))
    expect(of(1)).not.toEqual(of(2))
  })

  it('refuses groups of nothing, and levels that are none', () => {
    expect(() => bootstrap([2, 0], () => 0)).toThrow('cannot be resampled')
    expect(() => bootstrap([2], () => 0, { level: 1 })).toThrow('level')
    expect(() => bootstrap([2], () => 0, { resamples: 0 })).toThrow('resamples')
  })
})
