import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { reads, writes } from './signature.js'

/** `y = a + b`. */
export const add: Operation = {
  name: 'add',
  opcode: Opcode.ADD,
  operands: [writes('y', 'R,N'), reads('a', 'R,N'), reads('b', 'R,N')],
  attributes: [],
  run({ tensors }) {
    const [y, a, b] = tensors.map(floatsOf) as [Float32Array, Float32Array, Float32Array]
    for (let i = 0; i < y.length; i++) y[i] = a[i]! + b[i]!
  },
  vjp: ({ outputGradients: [dy] }) => [dy, dy],
}
