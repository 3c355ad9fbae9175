import { describe, expect, it } from 'vitest'
import { createRandom } from '../testing/small-head.js'
import { trainingRows } from './training-rows.js'

function randomBatch(seed: number, share: number) {
  const { next: random } = createRandom(seed)
  const [sequences, positions] = [1 + Math.floor(random() * 4), 2 + Math.floor(random() * 14)]
  const lossMask = Uint8Array.from({ length: sequences * positions }, (_, row) =>
    row % positions < positions - 1 && random() < share ? 1 : 0,
  )
  const rows = sequences * positions
  return { sequences, positions, lossMask, tokens: new Uint32Array(rows), features: new Float32Array(rows) }
}

const batches = [0.05, 0.3, 0.7, 1].flatMap((share, i) => [1, 2, 3].map((seed) => randomBatch(10 * i + seed, share)))

describe.each([1, 2, 3, 4])('rows of %i alignment steps', (numSteps) => {
  it.each(batches)('cover what the mask $lossMask needs, and say where it is', (batch) => {
    const { positions, lossMask } = batch
    const { context, firsts, masked, steps } = trainingRows(batch, numSteps)
    expect([...masked]).toEqual([...lossMask.keys()].filter((row) => lossMask[row]))
    const sequenceOf = (row: number) => Math.floor(row / positions)
    // Batch rows of each step, and the batch row and source that each slot of keys holds.
    const stepRows = steps.map(({ places }) => [...places].map((place) => context[place]!))
    const slots = [...context].map((row) => ({ row, source: 0 }))
    for (const [i, rows] of stepRows.entries()) {
      const { masked: marks, positions: at, sources, begins, ends, nearOffsets, near } = steps[i]!
      const step = i + 1
      if (step > 1) slots.push(...rows.map((row) => ({ row, source: step - 1 })))
      expect([...marks].map((number) => rows[number])).toEqual([...masked])
      // A prediction is needed for a loss, or by a later step one position further on for each step.
      const needed = [...lossMask.keys()].filter((row) =>
        [...masked].some(
          (mask) => mask - row >= 0 && mask - row <= numSteps - step && sequenceOf(mask) === sequenceOf(row),
        ),
      )
      expect(rows).toEqual(needed)
      for (const [number, row] of rows.entries()) {
        const position = row % positions
        expect(at[number]).toBe(position)
        if (step > 1) {
          const before = stepRows[i - 1]!
          const source = sources[number]!
          const found = source < before.length ? before[source] : context[firsts[source - before.length]!]
          expect(found).toBe(position === 0 ? row : row - 1)
        }
        const range = [...slots.keys()].slice(begins[number], ends[number])
        const seen = [...range, ...near.subarray(nearOffsets[number], nearOffsets[number + 1])].map(
          (slot) => slots[slot]!,
        )
        // Column c of query i comes from source max(0, step − 1 − (i − c)).
        const first = row - position
        const expected = Array.from({ length: position + 1 }, (_, column) => ({
          row: first + column,
          source: Math.max(0, step - 1 - (position - column)),
        }))
        expect(seen).toEqual(expected)
      }
    }
  })
})

it('leaves out sequences without a masked position, and padding', () => {
  const lossMask = Uint8Array.of(0, 0, 0, 0, 0, 1, 0, 0)
  const batch = { sequences: 2, positions: 4, lossMask, tokens: new Uint32Array(8), features: new Float32Array(8) }
  const { context, firsts, masked } = trainingRows(batch, 2)
  expect([[...context], [...firsts], [...masked]]).toEqual([[4, 5], [0], [5]])
})
