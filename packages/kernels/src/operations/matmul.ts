import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import { multiply } from '../reference/matrix-product.js'
import { addProduct } from './add-product.js'
import type { Operation } from './operation.js'
import { plainLinear } from './plain-linear.js'
import { reads, writes } from './signature.js'

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
