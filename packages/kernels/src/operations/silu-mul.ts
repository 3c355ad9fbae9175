import { Opcode } from '../program.js'
import { silu } from '../reference/arithmetic.js'
import { floatsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { reads, writes } from './signature.js'
import { siluMulGradient } from './silu-mul-gradient.js'

/** `y = silu(gate) · up`. */
export const siluMul: Operation = {
  name: 'siluMul',
  opcode: Opcode.SILU_MUL,
  operands: [writes('y', 'R,F'), reads('gate', 'R,F'), reads('up', 'R,F')],
  attributes: [],
  run({ tensors, arithmetic }) {
    const [y, gate, up] = tensors.map(floatsOf) as [Float32Array, Float32Array, Float32Array]
    for (let i = 0; i < y.length; i++) y[i] = silu(gate[i]!, arithmetic) * up[i]!
  },
  vjp: ({ inputs: [gate, up], outputGradients: [dy], emit }) => emit(siluMulGradient, [gate, up, dy]),
}
