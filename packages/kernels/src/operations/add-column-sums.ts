import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { reads, updates } from './signature.js'

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
