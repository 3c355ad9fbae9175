import { describe, expect, it } from 'vitest'
import { CostCache, costTable } from './cost-curve.js'
import { CostCurveError } from './errors.js'

describe('costTable', () => {
  it('is linear between points, level before them and goes on behind them', () => {
    const curve = { rows: [2, 4, 6], ms: [10, 12, 18] }
    expect([...costTable(curve, 8, 'verify')]).toEqual([0, 10, 10, 11, 12, 15, 18, 21, 24])
  })

  it('goes on level where it has one point, or sinks', () => {
    expect([...costTable({ rows: [1], ms: [3] }, 3, 'verify')]).toEqual([0, 3, 3, 3])
    expect([...costTable({ rows: [1, 2], ms: [3, 2] }, 4, 'verify')]).toEqual([0, 3, 2, 2, 2])
  })

  it.each([
    { rows: [], ms: [] },
    { rows: [1, 2], ms: [1] },
    { rows: [0, 2], ms: [1, 2] },
    { rows: [2, 2], ms: [1, 2] },
    { rows: [1, Infinity], ms: [1, 2] },
    { rows: [1], ms: [-1] },
    { rows: [1], ms: [Number.NaN] },
    { rows: [Number.NaN], ms: [1] },
    { rows: [1], ms: [Infinity] },
  ])('refuses %o', (curve) => {
    expect(() => costTable(curve, 3, 'draft')).toThrow(CostCurveError)
  })
})

describe('CostCache', () => {
  it('expands each pair of tables once', () => {
    const cache = new CostCache(4, 2)
    const costs = { verify: { rows: [1], ms: [3] }, draft: { rows: [1], ms: [1] } }
    expect(cache.get(costs)).toBe(cache.get(costs))
    expect(cache.get(costs).verify).toHaveLength(5)
    expect(cache.get({ ...costs })).not.toBe(cache.get(costs))
  })
})
