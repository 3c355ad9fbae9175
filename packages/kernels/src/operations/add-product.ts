import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import { multiply } from '../reference/matrix-product.js'
import type { Operation } from './operation.js'
import { reads, updates } from './signature.js'

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
