import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { reads, writes } from './signature.js'

/** Gradients of `silu(gate) · up`: with s = 1 / (1 + exp(−gate)), `dgate = dy · up · s · (1 + gate · (1 − s))`. */
export const siluMulGradient: Operation = {
  name: 'siluMulGradient',
  opcode: Opcode.SILU_MUL_GRADIENT,
  operands: [
    writes('dgate', 'R,F'),
    writes('dup', 'R,F'),
    reads('gate', 'R,F'),
    reads('up', 'R,F'),
    reads('dy', 'R,F'),
  ],
  attributes: [],
  run({ tensors, arithmetic: { round, exp } }) {
    const [dgate, dup, gate, up, dy] = tensors.map(floatsOf) as Float32Array[]
    for (let i = 0; i < dy!.length; i++) {
      const x = gate![i]!
      const share = round(1 / round(1 + exp(-x)))
      const slope = round(share * round(1 + round(x * round(1 - share))))
      dgate![i] = round(dy![i]! * up![i]!) * slope
      dup![i] = dy![i]! * round(x * share)
    }
  },
}
