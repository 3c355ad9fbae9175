import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import { multiply } from '../reference/matrix-product.js'
import type { Operation } from './operation.js'
import { reads, updates, writes } from './signature.js'

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

/** `y = a b`. */
export const matmul: Operation = {
  name: 'matmul',
  opcode: Opcode.MATMUL,
  operands: [writes('y', 'R,E'), reads('a', 'R,O'), reads('b', 'O,E')],
  attributes: [],
  run({ tensors: [y, a, b], arithmetic }) {
    const [rows, inner] = a!.shape as [number, number]
    const columns = b!.shape[1]!
    multiply({
      sizes: { rows, columns, inner },
      a: { data: floatsOf(a!), rowStride: inner, innerStride: 1 },
      b: { data: floatsOf(b!), columnStride: 1, innerStride: columns },
      c: floatsOf(y!),
      arithmetic,
    })
  },
  vjp({ inputs: [a, b], outputGradients: [dy], wants, accumulators: [, sum], emit }) {
    if (sum) emit(addProduct, [sum, a, dy])
    return [wants[0] ? emit(plainLinear, [dy, b, undefined, undefined])[0] : undefined, undefined]
  },
}

/** `sum = sum + aᵀ b`: what a batch adds to a matrix's gradient. */
export const addProduct: Operation = {
  name: 'addProduct',
  opcode: Opcode.ADD_PRODUCT,
  operands: [updates('sum', 'O,E', { dtypes: ['F32'] }), reads('a', 'R,O'), reads('b', 'R,E')],
  attributes: [],
  run({ tensors: [sum, a, b], arithmetic }) {
    const [inner, rows] = a!.shape as [number, number]
    const columns = b!.shape[1]!
    multiply({
      sizes: { rows, columns, inner },
      a: { data: floatsOf(a!), rowStride: 1, innerStride: rows },
      b: { data: floatsOf(b!), columnStride: 1, innerStride: columns },
      c: floatsOf(sum!),
      isAdded: true,
      arithmetic,
    })
  },
}

/** `sum[o] = sum[o] + Σ_r x[r, o]`, rows ascending: what a batch adds to a bias's gradient. */
export const addColumnSums: Operation = {
  name: 'addColumnSums',
  opcode: Opcode.ADD_COLUMN_SUMS,
  operands: [updates('sum', 'O', { dtypes: ['F32'] }), reads('x', 'R,O')],
  attributes: [],
  run({ tensors: [sum, x] }) {
    const [total, terms] = [floatsOf(sum!), floatsOf(x!)]
    for (let i = 0; i < terms.length; i++) total[i % total.length] = total[i % total.length]! + terms[i]!
  },
}
