import { Opcode } from '../program.js'
import { wordsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { scatterAddRows } from './rows.js'
import { anyDType, reads, writes } from './signature.js'
import { checkBelow } from './values.js'

/** `y[i] = x[rows[i]]`, element for element of whatever dtype. */
export const gatherRows: Operation = {
  name: 'gatherRows',
  opcode: Opcode.GATHER_ROWS,
  operands: [
    writes('y', 'L,E', { dtypes: anyDType }),
    reads('x', 'R,E', { dtypes: anyDType }),
    reads('rows', 'L', { dtypes: ['U32'] }),
  ],
  attributes: [],
  checkValues({ tensors: [, x, rows] }) {
    checkBelow(rows!, x!.shape[0]!, 'row')
  },
  run({ tensors: [y, x, rows] }) {
    const columns = x!.shape[1]!
    for (const [i, row] of wordsOf(rows!).entries()) {
      y!.data.set(x!.data.subarray(row * columns, (row + 1) * columns), i * columns)
    }
  },
  vjp: ({ inputs: [x, rows], outputGradients: [dy], emit }) => [
    emit(scatterAddRows, [dy, rows], {}, new Map([['R', x!.shape[0]!]]))[0],
    undefined,
  ],
}
