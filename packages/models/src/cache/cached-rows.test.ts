import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CachedRows } from './cached-rows.js'
import { SlotPool } from './slot-pool.js'

function create(capacity = 16, maxLength = 100) {
  const pool = new SlotPool(capacity)
  return { pool, rows: new CachedRows(pool, maxLength) }
}

describe('CachedRows', () => {
  it('takes slots in ascending order, and keeps the committed path in order', () => {
    const { pool, rows } = create()
    rows.open([-1, 0, 0, 2])
    expect([0, 1, 2, 3].map((row) => rows.slot(row))).toEqual([0, 1, 2, 3])
    expect([0, 1, 2, 3].map((row) => rows.position(row))).toEqual([0, 1, 1, 2])
    expect([...rows.pathSlots(3, -1)]).toEqual([0, 2, 3])
    expect([...rows.pathSlots(3, 0)]).toEqual([2, 3])
    rows.commit([0, 2, 3])
    expect([...rows.committed]).toEqual([0, 2, 3])
    expect([rows.length, rows.numOpen, pool.numFree]).toEqual([3, 0, 13])
    rows.open([-1])
    expect([rows.slot(0), rows.position(0)]).toEqual([1, 3])
  })

  it('opens rows below open ones, and closes the last of them', () => {
    const { pool, rows } = create()
    rows.open([-1])
    rows.open([0, -1])
    expect([rows.depth(1), rows.depth(2)]).toEqual([2, 1])
    rows.close(1)
    expect([rows.numOpen, pool.numFree]).toEqual([1, 15])
    rows.open([0])
    rows.commit([0, 1])
    expect(rows.length).toBe(2)
  })

  it.each([
    [[1], /place 0: its parent is 0, expected -1/],
    [[0, 2], /place 1: its parent is -1, expected 0/],
    [[0, 1, 3], /the step has 3 rows/],
    [[-1], /the step has 3 rows/],
    [[0, 0], /its parent is -1/],
  ])('refuses to commit %j and keeps the rows', (kept, message) => {
    const { rows } = create()
    rows.open([-1, 0, -1])
    expect(() => rows.commit(kept)).toThrow(message)
    expect([rows.length, rows.numOpen]).toEqual([0, 3])
  })

  it.each([[[0]], [[-2]], [[-1, 1]], [[0.5]], [[Number.NaN]]])('refuses the parents %j', (parents) => {
    const { pool, rows } = create()
    expect(() => rows.open(parents)).toThrow(/parent/)
    expect(pool.numFree).toBe(16)
  })

  it('keeps slots that others share, until the last owner goes', () => {
    const { pool, rows } = create()
    rows.open([-1, 0, 1])
    rows.commit([0, 1, 2])
    const fork = rows.fork(2)
    rows.dispose()
    rows.dispose()
    expect([pool.numFree, fork.length, [...fork.committed]]).toEqual([14, 2, [0, 1]])
    fork.dispose()
    expect(pool.numFree).toBe(16)
    expect(() => fork.open([-1])).toThrow(/disposed/)
  })

  it('grows beyond its first room', () => {
    const { rows } = create(1000, 1000)
    for (let step = 0; step < 3; step++) {
      rows.open(Array.from({ length: 100 }, (_, row) => row - 1))
      rows.commit(Array.from({ length: 100 }, (_, row) => row))
    }
    expect(rows.length).toBe(300)
    expect(rows.fork(300).committed).toEqual(rows.committed)
  })

  it('has each slot free, or owned once per sequence, whatever is done', () => {
    const action = fc.record({
      kind: fc.constantFrom('step', 'fork', 'dispose'),
      sequence: fc.nat(),
      parents: fc.array(fc.nat(), { maxLength: 6 }),
      kept: fc.nat(),
    })
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
        const pool = new SlotPool(24)
        let live = [new CachedRows(pool, 1000)]
        for (const { kind, sequence, parents, kept } of actions) {
          const rows = live[sequence % live.length]!
          if (kind === 'fork') live.push(rows.fork(kept % (rows.length + 1)))
          if (kind === 'dispose' && live.length > 1) {
            rows.dispose()
            live = live.filter((other) => other !== rows)
          }
          if (kind !== 'step') continue
          const path: number[] = []
          try {
            rows.open(parents.map((parent, row) => (parent % (row + 1)) - 1))
          } catch (error) {
            expect(error).toMatchObject({ code: 'HASS_ERR_CACHE_FULL' })
            continue
          }
          for (let at = parents.length === 0 ? -1 : kept % parents.length; at >= 0; at = rows.parent(at))
            path.unshift(at)
          rows.commit(path)
        }
        const used = new Set(live.flatMap((rows) => [...rows.committed]))
        expect(pool.numFree).toBe(24 - used.size)
        for (const rows of live) {
          expect(new Set(rows.committed).size).toBe(rows.length)
          rows.dispose()
        }
        expect(pool.numFree).toBe(24)
      }),
    )
  })
})
