import { Opcode } from '../program.js'
import { add } from './add.js'
import type { Operation } from './operation.js'
import { normalize } from './rms-norm.js'
import { float, reads, writes } from './signature.js'

/** `hidden = x + residual`, `y = rmsNorm(hidden)`: the bits of the two operations. */
export const addRmsNorm: Operation = {
  name: 'addRmsNorm',
  opcode: Opcode.ADD_RMS_NORM,
  operands: [
    writes('y', 'R,E'),
    writes('hidden', 'R,E'),
    reads('x', 'R,E'),
    reads('residual', 'R,E'),
    reads('weight', 'E'),
  ],
  attributes: [float('eps')],
  check: ({ eps }) => (eps! >= 0 ? undefined : `eps is ${eps}, expected at least 0`),
  run(call) {
    const [y, hidden, x, residual, weight] = call.tensors
    add.run({ ...call, tensors: [hidden!, x!, residual!] })
    normalize(y!, hidden!, weight!, call.attributes.eps!, call)
  },
}
