import { Opcode } from '../program.js'
import { floatsOf, wordsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { reads, writes } from './signature.js'

/** The lowest id among the largest; NaN never wins; a row of NaNs gives 0. */
export function argMaxOf(values: Float32Array, from: number, to: number): number {
  let best = from
  let largest = -Infinity
  for (let i = from; i < to; i++) {
    if (values[i]! > largest) {
      largest = values[i]!
      best = i
    }
  }
  return best - from
}

/** `token[r] = argmax_v x[r, v]`. */
export const argMax: Operation = {
  name: 'argMax',
  opcode: Opcode.ARG_MAX,
  operands: [writes('token', 'R', { dtypes: ['U32'] }), reads('x', 'R,V')],
  attributes: [],
  check: (_, bindings) => (bindings.get('V') === 0 ? 'x has no columns' : undefined),
  run({ tensors: [token, x] }) {
    const columns = x!.shape[1]!
    const out = wordsOf(token!)
    for (let row = 0; row < out.length; row++) {
      out[row] = argMaxOf(floatsOf(x!), row * columns, (row + 1) * columns)
    }
  },
}
