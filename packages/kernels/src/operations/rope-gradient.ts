import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { rope } from './rope.js'
import { integer, reads, writes } from './signature.js'

/** Rotates back: the gradient of `rope` by its input. */
export const ropeGradient: Operation = {
  name: 'ropeGradient',
  opcode: Opcode.ROPE_GRADIENT,
  operands: [
    writes('dx', 'R,N*D'),
    reads('dy', 'R,N*D'),
    reads('positions', 'R', { dtypes: ['U32'] }),
    reads('table', 'P,D'),
  ],
  attributes: [integer('D'), integer('pairing')],
  check: (attributes, bindings) => rope.check!(attributes, bindings),
  checkValues: (call) => rope.checkValues!(call),
  run(call) {
    const [dx, dy, positions, table] = call.tensors
    const half = table!.shape[1]! / 2
    const angles = floatsOf(table!).map((value, i) => (i % (2 * half) < half ? value : -value))
    rope.run({ ...call, tensors: [dx!, dy!, positions!, { ...table!, data: angles }] })
  },
}
