import { Opcode } from '../program.js'
import { createLanes, createScratch, dotLanes, sumLanes } from '../reference/arithmetic.js'
import { floatsOf, wordsOf } from '../reference/host-tensor.js'
import { widenInto } from '../reference/widen.js'
import type { Operation, ReferenceCall } from './operation.js'
import { cacheDTypes, float, integer, reads, writes } from './signature.js'
import { checkBelow, checkOffsets } from './values.js'

const words = { dtypes: ['U32'] } as const
const cached = { dtypes: cacheDTypes }

/**
 * Attention of each row over its sequence's committed slots, then its same-pass ancestors and itself, in logical
 * order wherever the cache keeps them; query heads share kv heads in groups (arXiv 2305.13245).
 */
export const treeAttention: Operation = {
  name: 'treeAttention',
  opcode: Opcode.TREE_ATTENTION,
  operands: [
    writes('y', 'R,H*D'),
    reads('q', 'R,H*D'),
    reads('keys', 'S,G*D', cached),
    reads('values', 'S,G*D', cached),
    reads('rowSequence', 'R', words),
    reads('sequenceOffsets', 'B', words),
    reads('contextSlots', 'C', words),
    reads('ancestorOffsets', 'J', words),
    reads('ancestorSlots', 'A', words),
  ],
  attributes: [integer('H'), integer('G'), integer('D'), float('scale')],
  check({ H, G, D }) {
    if (!(D! > 0)) return `the head size is ${D}, expected at least 1`
    return H! > 0 && G! > 0 && H! % G! === 0 ? undefined : `${H} heads do not share ${G} kv heads evenly`
  },
  checkValues({ tensors: [, q, keys, , rowSequence, sequenceOffsets, contextSlots, ancestorOffsets, ancestorSlots] }) {
    const slots = keys!.shape[0]!
    const sequences = sequenceOffsets!.shape[0]! - 1
    checkOffsets(sequenceOffsets!, Math.max(sequences + 1, 1), contextSlots!.shape[0]!, 'sequence offset')
    checkOffsets(ancestorOffsets!, q!.shape[0]! + 1, ancestorSlots!.shape[0]!, 'ancestor offset')
    checkBelow(rowSequence!, sequences, 'sequence of row')
    checkBelow(contextSlots!, slots, 'context slot')
    checkBelow(ancestorSlots!, slots, 'ancestor slot')
  },
  run(call) {
    const [, q, , , rowSequence, sequenceOffsets, contextSlots, ancestorOffsets, ancestorSlots] = call.tensors
    const sequences = wordsOf(rowSequence!)
    for (let row = 0; row < q!.shape[0]!; row++) {
      const sequence = sequences[row]!
      const committed = range(contextSlots!, sequenceOffsets!, sequence)
      const ancestors = range(ancestorSlots!, ancestorOffsets!, row)
      attend(call, row, [committed, ancestors])
    }
  },
}

function range(list: ReferenceCall['tensors'][0], offsets: ReferenceCall['tensors'][0], index: number): Uint32Array {
  const ends = wordsOf(offsets)
  return wordsOf(list).subarray(ends[index]!, ends[index + 1]!)
}

/** One row over its slots in logical order. */
function attend({ tensors, attributes, arithmetic }: ReferenceCall, row: number, slots: readonly Uint32Array[]): void {
  const [y, q, keys, values] = tensors
  const { H: heads, G: kvHeads, D: size, scale } = attributes as { H: number; G: number; D: number; scale: number }
  const { round, exp } = arithmetic
  const context = slots[0]!.length + slots[1]!.length
  const scores = createScratch(arithmetic, context)
  const cached = createScratch(arithmetic, size)
  const sums = createScratch(arithmetic, size)
  const lanes = createLanes(arithmetic)
  const out = floatsOf(y!)
  const queries = floatsOf(q!)
  for (let head = 0; head < heads; head++) {
    const atRow = (row * heads + head) * size
    const column = Math.floor(head / (heads / kvHeads)) * size
    let largest = -Infinity
    for (let j = 0; j < context; j++) {
      widenInto(keys!, slotAt(slots, j) * kvHeads * size + column, cached, 0, size)
      const score = round(dotLanes(queries, atRow, cached, 0, size, lanes, round) * scale)
      scores[j] = score
      if (score > largest) largest = score
    }
    lanes.fill(0)
    for (let j = 0; j < context; j++) {
      scores[j] = exp(round(scores[j]! - largest))
      lanes[j & 7] = lanes[j & 7]! + scores[j]!
    }
    const total = sumLanes(lanes, round)
    sums.fill(0)
    for (let j = 0; j < context; j++) {
      widenInto(values!, slotAt(slots, j) * kvHeads * size + column, cached, 0, size)
      const weight = scores[j]!
      for (let d = 0; d < size; d++) sums[d] = sums[d]! + round(weight * cached[d]!)
    }
    for (let d = 0; d < size; d++) out[atRow + d] = context === 0 ? 0 : sums[d]! / total
  }
}

function slotAt([committed, ancestors]: readonly Uint32Array[], j: number): number {
  return j < committed!.length ? committed![j]! : ancestors![j - committed!.length]!
}
