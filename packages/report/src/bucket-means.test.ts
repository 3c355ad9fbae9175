import { describe, expect, it } from 'vitest'
import { bucketMeans } from './bucket-means.js'

describe('bucketMeans', () => {
  it('keeps short series as they are', () => {
    const points = [[1, 2] as const, [3, 4] as const]
    expect(bucketMeans(points, 2)).toBe(points)
  })

  it('averages neighbours in equal stretches of x, the last point included', () => {
    const points = Array.from({ length: 100 }, (_, x) => [x, 2 * x] as const)
    const means = bucketMeans(points, 10)
    expect(means.length).toBeLessThanOrEqual(10)
    for (const [x, y] of means) expect(y).toBeCloseTo(2 * x, 10)
    expect(means.at(-1)![0]).toBeGreaterThan(90)
  })

  it('leaves stretches without points empty', () => {
    const points = [0, 1, 2, 98, 99, 100].map((x) => [x, 1] as const)
    expect(bucketMeans(points, 4)).toEqual([
      [1, 1],
      [99, 1],
    ])
  })

  it('makes one point of many at the same place', () => {
    expect(
      bucketMeans(
        Array.from({ length: 9 }, (_, index) => [5, index] as const),
        3,
      ),
    ).toEqual([[5, 4]])
  })
})
