import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CachedRows } from '../cache/cached-rows.js'
import { SlotPool } from '../cache/slot-pool.js'
import { passInputs } from './pass-inputs.js'
import { type PassLimits, planPasses, type RowBatch } from './plan-passes.js'

const limits: PassLimits = { rows: 8, selected: 4, sequences: 3, context: 60, ancestors: 36 }

function createBatch(pool: SlotPool, committed: number, parents: readonly number[], selectsAll = false): RowBatch {
  const cached = new CachedRows(pool, 1000)
  cached.open(Array.from({ length: committed }, (_, row) => row - 1))
  cached.commit(Array.from({ length: committed }, (_, row) => row))
  cached.open(parents)
  return { cached, firstRow: 0, rows: parents.length, isSelected: (row) => selectsAll || row === parents.length - 1 }
}

/** What each row of each batch sees according to the passes, in order. */
function contextsOf(batches: readonly RowBatch[], passes: ReturnType<typeof planPasses>) {
  const seen = batches.map(() => [] as number[][])
  for (const parts of passes) {
    const inputs = passInputs(parts, batches)
    const list = (slots: Uint32Array, offsets: Uint32Array, i: number) => [
      ...slots.subarray(offsets[i], offsets[i + 1]),
    ]
    let row = 0
    for (const [place, { batch, from, to }] of parts.entries()) {
      for (let i = from; i < to; i++, row++) {
        expect(inputs['context.rowSequence'][row]).toBe(place)
        seen[batch]!.push([
          ...list(inputs['context.contextSlots'], inputs['context.sequenceOffsets'], place),
          ...list(inputs['context.ancestorSlots'], inputs['context.ancestorOffsets'], row),
        ])
      }
    }
    expect(row).toBeLessThanOrEqual(limits.rows)
    expect(inputs.selected.length).toBeLessThanOrEqual(limits.selected)
    expect(inputs['context.contextSlots'].length).toBeLessThanOrEqual(limits.context)
    expect(inputs['context.ancestorSlots'].length).toBeLessThanOrEqual(limits.ancestors)
    expect(parts.length).toBeLessThanOrEqual(limits.sequences)
  }
  return seen
}

describe('planPasses', () => {
  it('takes what fits into one pass as one', () => {
    const pool = new SlotPool(100)
    const batches = [createBatch(pool, 5, [-1, 0, 0]), createBatch(pool, 2, [-1, 0])]
    expect(planPasses(batches, limits)).toEqual([
      [
        { batch: 0, from: 0, to: 3, above: -1 },
        { batch: 1, from: 0, to: 2, above: -1 },
      ],
    ])
    expect(planPasses([], limits)).toEqual([])
  })

  it('lets the common path of a cut chain join the context', () => {
    const pool = new SlotPool(100)
    const batch = createBatch(
      pool,
      3,
      Array.from({ length: 20 }, (_, row) => row - 1),
    )
    const passes = planPasses([batch], limits)
    expect(passes.map((parts) => parts.map(({ above }) => above))).toEqual([[-1], [7], [15]])
  })

  it('lets every row see its committed tokens, its ancestors and itself, within the limits', () => {
    const forest = fc.array(
      fc.record({ committed: fc.nat(12), parents: fc.array(fc.nat(), { maxLength: 30 }), all: fc.boolean() }),
      {
        maxLength: 5,
      },
    )
    fc.assert(
      fc.property(forest, (shapes) => {
        const pool = new SlotPool(400)
        const batches = shapes.map(({ committed, parents, all }) =>
          createBatch(
            pool,
            committed,
            parents.map((parent, row) => (parent % (row + 1)) - 1),
            all,
          ),
        )
        const seen = contextsOf(batches, planPasses(batches, limits))
        for (const [i, { cached, rows }] of batches.entries()) {
          const expected = Array.from({ length: rows }, (_, row) => [...cached.committed, ...cached.pathSlots(row, -1)])
          expect(seen[i]).toEqual(expected)
        }
      }),
    )
  })
})
