import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { reads, writes } from './signature.js'

/** `y = a · b`. */
export const mul: Operation = {
  name: 'mul',
  opcode: Opcode.MUL,
  operands: [writes('y', 'R,N'), reads('a', 'R,N'), reads('b', 'R,N')],
  attributes: [],
  run({ tensors }) {
    const [y, a, b] = tensors.map(floatsOf) as [Float32Array, Float32Array, Float32Array]
    for (let i = 0; i < y.length; i++) y[i] = a[i]! * b[i]!
  },
  vjp: ({ inputs: [a, b], outputGradients: [dy], wants, emit }) => [
    wants[0] ? emit(mul, [dy, b])[0] : undefined,
    wants[1] ? emit(mul, [dy, a])[0] : undefined,
  ],
}
