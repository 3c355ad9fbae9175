import { Opcode } from '../program.js'
import { createScratch, silu } from '../reference/arithmetic.js'
import { floatsOf } from '../reference/host-tensor.js'
import { runLinear } from '../reference/linear-kernel.js'
import { checkActivationBlock } from './linear.js'
import type { Operation } from './operation.js'
import { integer, reads, weightDTypes, writes } from './signature.js'

/** `y = silu(gate) · up` where `[gate | up] = linear(x, weight)`: the bits of the chain. */
export const linearSiluMul: Operation = {
  name: 'linearSiluMul',
  opcode: Opcode.LINEAR_SILU_MUL,
  operands: [
    writes('y', 'R,F'),
    reads('x', 'R,E'),
    reads('weight', '2*F,E', { dtypes: weightDTypes }),
    reads('bias', '2*F', { isOptional: true }),
  ],
  attributes: [integer('activationBlock')],
  check: checkActivationBlock,
  run({ tensors: [y, x, weight, bias], attributes, arithmetic }) {
    const [rows, columns] = y!.shape as [number, number]
    const both = createScratch(arithmetic, rows * 2 * columns)
    runLinear({ x: x!, weight: weight!, bias, activationBlock: attributes.activationBlock!, y: both, arithmetic })
    const out = floatsOf(y!)
    for (let row = 0; row < rows; row++) {
      for (let i = 0; i < columns; i++) {
        const gate = both[row * 2 * columns + i]!
        const up = both[row * 2 * columns + columns + i]!
        out[row * columns + i] = silu(gate, arithmetic) * up
      }
    }
  },
}
