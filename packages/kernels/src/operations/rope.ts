import { Opcode } from '../program.js'
import { floatsOf, wordsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { integer, reads, writes } from './signature.js'
import { checkBelow } from './values.js'

/** Rotates the pairs of each head by the angles of the row's position; `D` even. Rotary embedding, arXiv 2104.09864. */
export const rope: Operation = {
  name: 'rope',
  opcode: Opcode.ROPE,
  operands: [
    writes('y', 'R,N*D'),
    reads('x', 'R,N*D'),
    reads('positions', 'R', { dtypes: ['U32'] }),
    reads('table', 'P,D'),
  ],
  attributes: [integer('D'), integer('pairing')],
  check({ D, pairing }) {
    if (D! < 2 || D! % 2 !== 0) return `the head size is ${D}, expected an even number`
    return pairing === 0 || pairing === 1 ? undefined : `pairing is ${pairing}, expected 0 or 1`
  },
  checkValues({ tensors: [, , positions, table] }) {
    checkBelow(positions!, table!.shape[0]!, 'position')
  },
  run({ tensors: [y, x, positions, table], attributes, arithmetic: { round } }) {
    const headSize = attributes.D!
    const half = headSize / 2
    const columns = x!.shape[1]!
    const [step, gap] = attributes.pairing === 0 ? [1, half] : [2, 1]
    const source = floatsOf(x!)
    const target = floatsOf(y!)
    const angles = floatsOf(table!)
    for (const [row, position] of wordsOf(positions!).entries()) {
      for (let head = row * columns; head < (row + 1) * columns; head += headSize) {
        for (let i = 0; i < half; i++) {
          const cos = angles[position * headSize + i]!
          const sin = angles[position * headSize + half + i]!
          const a = source[head + i * step]!
          const b = source[head + i * step + gap]!
          target[head + i * step] = round(a * cos) - round(b * sin)
          target[head + i * step + gap] = round(b * cos) + round(a * sin)
        }
      }
    }
  },
  vjp: ({ inputs: [, positions, table], outputGradients: [dy], attributes, emit }) => [
    emit(ropeGradient, [dy, positions, table], attributes)[0],
    undefined,
    undefined,
  ],
}

/** Rotates back: the gradient of `rope` by its input. */
export const ropeGradient: Operation = {
  name: 'ropeGradient',
  opcode: Opcode.ROPE_GRADIENT,
  operands: [
    writes('dx', 'R,N*D'),
    reads('dy', 'R,N*D'),
    reads('positions', 'R', { dtypes: ['U32'] }),
    reads('table', 'P,D'),
  ],
  attributes: [integer('D'), integer('pairing')],
  check: (attributes, bindings) => rope.check!(attributes, bindings),
  checkValues: (call) => rope.checkValues!(call),
  run(call) {
    const [dx, dy, positions, table] = call.tensors
    const half = table!.shape[1]! / 2
    const angles = floatsOf(table!).map((value, i) => (i % (2 * half) < half ? value : -value))
    rope.run({ ...call, tensors: [dx!, dy!, positions!, { ...table!, data: angles }] })
  },
}
