import { Opcode } from '../program.js'
import { sumLanes } from '../reference/arithmetic.js'
import { floatsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { reads, writes } from './signature.js'

/** `y = x - log(sum(exp(x)))` of each row, summed in float64. */
export const logSoftmax: Operation = {
  name: 'logSoftmax',
  opcode: Opcode.LOG_SOFTMAX,
  operands: [writes('y', 'R,V'), reads('x', 'R,V')],
  attributes: [],
  run({ tensors: [y, x], arithmetic: { round, exp, log } }) {
    const columns = x!.shape[1]!
    const lanes = new Float64Array(8)
    const [source, target] = [floatsOf(x!), floatsOf(y!)]
    for (let at = 0; at < source.length; at += columns) {
      let largest = -Infinity
      for (let i = 0; i < columns; i++) if (source[at + i]! > largest) largest = source[at + i]!
      lanes.fill(0)
      for (let i = 0; i < columns; i++) lanes[i & 7] = lanes[i & 7]! + exp(round(source[at + i]! - largest))
      // Where the maximum is infinite or an element is NaN, the sum is NaN and with it the row.
      const logSum = log(round(sumLanes(lanes, (sum) => sum)))
      for (let i = 0; i < columns; i++) target[at + i] = round(source[at + i]! - largest) - logSum
    }
  },
}
