import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import { multiply } from '../reference/matrix-product.js'
import { addColumnSums } from './add-column-sums.js'
import { addProduct } from './add-product.js'
import { matmul } from './matmul.js'
import type { Operation } from './operation.js'
import { reads, writes } from './signature.js'

/** `y = x weightᵀ (+ bias) (+ residual)` for a weight kept row by row: one that training changes. */
export const plainLinear: Operation = {
  name: 'plainLinear',
  opcode: Opcode.PLAIN_LINEAR,
  operands: [
    writes('y', 'R,O'),
    reads('x', 'R,E'),
    reads('weight', 'O,E'),
    reads('bias', 'O', { isOptional: true }),
    reads('residual', 'R,O', { isOptional: true }),
  ],
  attributes: [],
  run({ tensors: [y, x, weight, bias, residual], arithmetic }) {
    const [rows, inner] = x!.shape as [number, number]
    const columns = weight!.shape[0]!
    const out = floatsOf(y!)
    multiply({
      sizes: { rows, columns, inner },
      a: { data: floatsOf(x!), rowStride: inner, innerStride: 1 },
      b: { data: floatsOf(weight!), columnStride: inner, innerStride: 1 },
      c: out,
      arithmetic,
    })
    if (bias) for (let i = 0; i < out.length; i++) out[i] = out[i]! + floatsOf(bias)[i % columns]!
    if (residual) for (let i = 0; i < out.length; i++) out[i] = out[i]! + floatsOf(residual)[i]!
  },
  vjp({ inputs: [x, weight, bias, residual], outputGradients: [dy], wants, accumulators, emit }) {
    const [, weightSum, biasSum] = accumulators
    if (weightSum) emit(addProduct, [weightSum, dy, x])
    if (bias && biasSum) emit(addColumnSums, [biasSum, dy])
    return [wants[0] ? emit(matmul, [dy, weight])[0] : undefined, undefined, undefined, residual && dy]
  },
}
