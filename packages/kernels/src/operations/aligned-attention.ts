import { InvalidInputError } from '../errors.js'
import { Opcode } from '../program.js'
import { createLanes, createScratch, dotLanes, sumLanes } from '../reference/arithmetic.js'
import { floatsOf, wordsOf } from '../reference/host-tensor.js'
import type { Operation, ReferenceCall } from './operation.js'
import { float, integer, reads, writes } from './signature.js'
import { checkBelow, checkOffsets } from './values.js'

const words = { dtypes: ['U32'] } as const

/** Where each row's context lies: slots `begins[r] … ends[r]`, then its own list of `near` slots. */
const context = [
  reads('begins', 'R', words),
  reads('ends', 'R', words),
  reads('nearOffsets', 'J', words),
  reads('near', 'C', words),
]
const attributes = [integer('H'), integer('G'), integer('D'), float('scale')]

function check({ H, G, D }: Readonly<Record<string, number>>): string | undefined {
  if (!(D! > 0)) return `the head size is ${D}, expected at least 1`
  return H! > 0 && G! > 0 && H! % G! === 0 ? undefined : `${H} heads do not share ${G} kv heads evenly`
}

function checkContext(rows: number, slots: number, lists: ReferenceCall['tensors']): void {
  const [begins, ends, nearOffsets, near] = lists
  checkOffsets(nearOffsets!, rows + 1, near!.shape[0]!, 'near offset')
  checkBelow(near!, slots, 'near slot')
  checkBelow(ends!, slots + 1, 'end')
  for (const [row, begin] of wordsOf(begins!).entries()) {
    const end = wordsOf(ends!)[row]!
    if (begin <= end) continue
    throw new InvalidInputError(`Row ${row} begins at slot ${begin}, behind its end ${end}.`, {
      index: row,
      value: begin,
      limit: end,
    })
  }
}

/** The slots that a row sees, in logical order. */
function slotsOf(row: number, [begins, ends, nearOffsets, near]: ReferenceCall['tensors']): number[] {
  const [begin, end] = [wordsOf(begins!)[row]!, wordsOf(ends!)[row]!]
  const own = wordsOf(near!).subarray(wordsOf(nearOffsets!)[row]!, wordsOf(nearOffsets!)[row + 1]!)
  return [...Array.from({ length: end - begin }, (_, i) => begin + i), ...own]
}

/**
 * Attention of each row over a range of slots, then over a list of its own: in harmonized context alignment (HASS,
 * section 3.2) the target's features far behind, and nearer ones that the head predicted. `shift` is what the scores
 * of a row and head are lowered by to become logarithms of its weights.
 */
export const alignedAttention: Operation = {
  name: 'alignedAttention',
  opcode: Opcode.ALIGNED_ATTENTION,
  operands: [
    writes('y', 'R,H*D'),
    writes('shift', 'R,H'),
    reads('q', 'R,H*D'),
    reads('keys', 'S,G*D'),
    reads('values', 'S,G*D'),
    ...context,
  ],
  attributes,
  check,
  checkValues: ({ tensors }) => checkContext(tensors[2]!.shape[0]!, tensors[3]!.shape[0]!, tensors.slice(5)),
  run({ tensors, attributes: sizes, arithmetic }) {
    const [y, shift, q, keys, values] = tensors.slice(0, 5).map(floatsOf) as Float32Array[]
    const { H: heads, G: kvHeads, D: size, scale } = sizes as { H: number; G: number; D: number; scale: number }
    const { round, exp, log } = arithmetic
    const lanes = createLanes(arithmetic)
    const sums = createScratch(arithmetic, size)
    for (let row = 0; row < tensors[2]!.shape[0]!; row++) {
      const slots = slotsOf(row, tensors.slice(5))
      const weights = createScratch(arithmetic, slots.length)
      for (let head = 0; head < heads; head++) {
        const at = (row * heads + head) * size
        const column = Math.floor(head / (heads / kvHeads)) * size
        const slotAt = (j: number) => slots[j]! * kvHeads * size + column
        for (let j = 0; j < slots.length; j++) {
          weights[j] = round(dotLanes(q!, at, keys!, slotAt(j), size, lanes, round) * scale)
        }
        const largest = weights.reduce((best, score) => Math.max(best, score), -Infinity)
        lanes.fill(0)
        for (let j = 0; j < slots.length; j++) {
          weights[j] = exp(round(weights[j]! - largest))
          lanes[j & 7] = lanes[j & 7]! + weights[j]!
        }
        const total = sumLanes(lanes, round)
        sums.fill(0)
        for (let j = 0; j < slots.length; j++) {
          for (let d = 0; d < size; d++) sums[d] = sums[d]! + round(weights[j]! * values![slotAt(j) + d]!)
        }
        for (let d = 0; d < size; d++) y![at + d] = slots.length === 0 ? 0 : sums[d]! / total
        shift![row * heads + head] = slots.length === 0 ? 0 : largest + log(total)
      }
    }
  },
  vjp({ inputs, outputs: [y, shift], outputGradients: [dy], attributes: sizes, emit }) {
    const [q, keys, values, ...lists] = inputs
    return emit(alignedAttentionGradient, [dy, y, shift, q, keys, values, ...lists], sizes)
  },
}

/**
 * Gradients of `alignedAttention`: with p the weights, `dvalues = pᵀ dy`, `ds = p · (dy valuesᵀ − Σ dy · y) · scale`,
 * `dq = ds keys`, `dkeys = dsᵀ q`; rows ascending, heads of a kv head ascending.
 */
export const alignedAttentionGradient: Operation = {
  name: 'alignedAttentionGradient',
  opcode: Opcode.ALIGNED_ATTENTION_GRADIENT,
  operands: [
    writes('dq', 'R,H*D'),
    writes('dkeys', 'S,G*D'),
    writes('dvalues', 'S,G*D'),
    reads('dy', 'R,H*D'),
    reads('y', 'R,H*D'),
    reads('shift', 'R,H'),
    reads('q', 'R,H*D'),
    reads('keys', 'S,G*D'),
    reads('values', 'S,G*D'),
    ...context,
  ],
  attributes,
  check,
  checkValues: ({ tensors }) => checkContext(tensors[6]!.shape[0]!, tensors[7]!.shape[0]!, tensors.slice(9)),
  run({ tensors, attributes: sizes, arithmetic }) {
    const [dq, dkeys, dvalues, dy, y, shift, q, keys, values] = tensors.slice(0, 9).map(floatsOf) as Float32Array[]
    const { H: heads, G: kvHeads, D: size, scale } = sizes as { H: number; G: number; D: number; scale: number }
    const { round, exp } = arithmetic
    const lanes = createLanes(arithmetic)
    for (const target of [dq!, dkeys!, dvalues!]) target.fill(0)
    for (let row = 0; row < tensors[6]!.shape[0]!; row++) {
      const slots = slotsOf(row, tensors.slice(9))
      for (let head = 0; head < heads; head++) {
        const at = (row * heads + head) * size
        const column = Math.floor(head / (heads / kvHeads)) * size
        const delta = dotLanes(dy!, at, y!, at, size, lanes, round)
        for (const slot of slots) {
          const to = slot * kvHeads * size + column
          const score = round(dotLanes(q!, at, keys!, to, size, lanes, round) * scale)
          const weight = exp(round(score - shift![row * heads + head]!))
          const pull = round(dotLanes(dy!, at, values!, to, size, lanes, round) - delta)
          const slope = round(round(weight * pull) * scale)
          for (let d = 0; d < size; d++) {
            dvalues![to + d] = dvalues![to + d]! + round(weight * dy![at + d]!)
            dkeys![to + d] = dkeys![to + d]! + round(slope * q![at + d]!)
            dq![at + d] = dq![at + d]! + round(slope * keys![to + d]!)
          }
        }
      }
    }
  },
}
