import { Opcode } from '../program.js'
import { createLanes, sumLanes } from '../reference/arithmetic.js'
import { floatsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { reads, writes } from './signature.js'

/** `y = exp(x) / Σ exp(x)` of each row. */
export const softmax: Operation = {
  name: 'softmax',
  opcode: Opcode.SOFTMAX,
  operands: [writes('y', 'R,V'), reads('x', 'R,V')],
  attributes: [],
  run({ tensors: [y, x], arithmetic }) {
    const { round, exp } = arithmetic
    const lanes = createLanes(arithmetic)
    const columns = x!.shape[1]!
    const [source, target] = [floatsOf(x!), floatsOf(y!)]
    for (let at = 0; at < source.length; at += columns) {
      let largest = -Infinity
      for (let i = 0; i < columns; i++) if (source[at + i]! > largest) largest = source[at + i]!
      lanes.fill(0)
      for (let i = 0; i < columns; i++) {
        target[at + i] = exp(round(source[at + i]! - largest))
        lanes[i & 7] = lanes[i & 7]! + target[at + i]!
      }
      const inverse = round(1 / sumLanes(lanes, round))
      for (let i = 0; i < columns; i++) target[at + i] = target[at + i]! * inverse
    }
  },
}
