import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import { runLinear } from '../reference/linear-kernel.js'
import type { Operation } from './operation.js'
import { integer, reads, weightDTypes, writes } from './signature.js'

/** What is wrong with an activation block; one for float weights is refused by backends, which see the dtype. */
export function checkActivationBlock({ activationBlock }: Readonly<Record<string, number>>): string | undefined {
  const isKnown = activationBlock === 0 || activationBlock === 16 || activationBlock === 32
  return isKnown ? undefined : `the activation block is ${activationBlock}, expected 0, 16 or 32`
}

/** `y = x weightᵀ (+ bias) (+ residual)`. */
export const linear: Operation = {
  name: 'linear',
  opcode: Opcode.LINEAR,
  operands: [
    writes('y', 'R,O'),
    reads('x', 'R,E'),
    reads('weight', 'O,E', { dtypes: weightDTypes }),
    reads('bias', 'O', { isOptional: true }),
    reads('residual', 'R,O', { isOptional: true }),
  ],
  attributes: [integer('activationBlock')],
  check: checkActivationBlock,
  run({ tensors: [y, x, weight, bias, residual], attributes, arithmetic }) {
    const out = floatsOf(y!)
    runLinear({ x: x!, weight: weight!, bias, activationBlock: attributes.activationBlock!, y: out, arithmetic })
    if (!residual) return
    const terms = floatsOf(residual)
    for (let i = 0; i < out.length; i++) out[i] = out[i]! + terms[i]!
  },
}
