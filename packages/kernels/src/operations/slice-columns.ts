import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { padColumns } from './rows.js'
import { integer, reads, writes } from './signature.js'

/** `y[r] = x[r, from .. from + N]`. */
export const sliceColumns: Operation = {
  name: 'slice',
  opcode: Opcode.SLICE_COLUMNS,
  operands: [writes('y', 'R,N'), reads('x', 'R,E')],
  attributes: [integer('from')],
  check({ from }, bindings) {
    const [columns, width] = [bindings.get('N')!, bindings.get('E')!]
    return from! >= 0 && from! + columns <= width
      ? undefined
      : `columns ${from} to ${from! + columns} pass the ${width} that x has`
  },
  run({ tensors: [y, x], attributes }) {
    const [columns, width] = [y!.shape[1]!, x!.shape[1]!]
    const from = attributes.from!
    for (let row = 0; row < x!.shape[0]!; row++) {
      floatsOf(y!).set(floatsOf(x!).subarray(row * width + from, row * width + from + columns), row * columns)
    }
  },
  vjp: ({ inputs: [x], outputGradients: [dy], attributes, emit }) =>
    emit(padColumns, [dy], attributes, new Map([['E', x!.shape[1]!]])),
}
