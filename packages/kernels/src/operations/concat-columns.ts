import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { reads, writes } from './signature.js'
import { sliceColumns } from './slice-columns.js'

/** `y[r] = [a[r] | b[r]]`. */
export const concatColumns: Operation = {
  name: 'concat',
  opcode: Opcode.CONCAT_COLUMNS,
  operands: [writes('y', 'R,A+B'), reads('a', 'R,A'), reads('b', 'R,B')],
  attributes: [],
  run({ tensors: [y, a, b] }) {
    const [left, right] = [a!.shape[1]!, b!.shape[1]!]
    const out = floatsOf(y!)
    for (let row = 0, at = 0; row < a!.shape[0]!; row++, at += left + right) {
      out.set(floatsOf(a!).subarray(row * left, (row + 1) * left), at)
      out.set(floatsOf(b!).subarray(row * right, (row + 1) * right), at + left)
    }
  },
  vjp({ inputs: [a, b], outputGradients: [dy], wants, emit }) {
    const [left, right] = [a!.shape[1]!, b!.shape[1]!]
    return [
      wants[0] ? emit(sliceColumns, [dy], { from: 0 }, new Map([['N', left]]))[0] : undefined,
      wants[1] ? emit(sliceColumns, [dy], { from: left }, new Map([['N', right]]))[0] : undefined,
    ]
  },
}
