import { Opcode } from '../program.js'
import { floatsOf, wordsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { integer, reads, writes } from './signature.js'

/** The K largest of each row: falling values, equals by rising id; NaN counts as -infinity. */
export const topK: Operation = {
  name: 'topK',
  opcode: Opcode.TOP_K,
  operands: [writes('ids', 'R,K', { dtypes: ['U32'] }), writes('values', 'R,K'), reads('x', 'R,V')],
  attributes: [integer('K')],
  check(_, bindings) {
    const [k, columns] = [bindings.get('K')!, bindings.get('V')!]
    return k >= 1 && k <= columns ? undefined : `K is ${k}, expected 1 to the ${columns} columns of x`
  },
  run({ tensors: [ids, values, x], attributes }) {
    const k = attributes.K!
    const columns = x!.shape[1]!
    const scores = floatsOf(x!)
    const outIds = wordsOf(ids!)
    const outValues = floatsOf(values!)
    for (let row = 0; row < x!.shape[0]!; row++) {
      const at = row * k
      let found = 0
      for (let id = 0; id < columns; id++) {
        const raw = scores[row * columns + id]!
        const value = Number.isNaN(raw) ? -Infinity : raw
        if (found === k && !(value > outValues[at + k - 1]!)) continue
        // Equal values stay in the order in which they come: by rising id.
        let place = found < k ? found++ : k - 1
        for (; place > 0 && value > outValues[at + place - 1]!; place--) {
          outValues[at + place] = outValues[at + place - 1]!
          outIds[at + place] = outIds[at + place - 1]!
        }
        outValues[at + place] = value
        outIds[at + place] = id
      }
    }
  },
}
