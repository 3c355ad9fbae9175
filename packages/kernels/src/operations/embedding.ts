import { Opcode } from '../program.js'
import { floatsOf, wordsOf } from '../reference/host-tensor.js'
import { widenRow } from '../reference/widen.js'
import type { Operation } from './operation.js'
import { reads, weightDTypes, writes } from './signature.js'
import { checkBelow } from './values.js'

/** `y[r] = table[tokens[r]]`, widened to float32. */
export const embedding: Operation = {
  name: 'embedding',
  opcode: Opcode.EMBEDDING,
  operands: [
    writes('y', 'R,E'),
    reads('tokens', 'R', { dtypes: ['U32'] }),
    reads('table', 'V,E', { dtypes: weightDTypes }),
  ],
  attributes: [],
  checkValues({ tensors: [, tokens, table] }) {
    checkBelow(tokens!, table!.shape[0]!, 'token')
  },
  run({ tensors: [y, tokens, table], arithmetic }) {
    const columns = table!.shape[1]!
    const ids = wordsOf(tokens!)
    const out = floatsOf(y!)
    for (let row = 0; row < ids.length; row++) widenRow(table!, ids[row]!, out, row * columns, arithmetic)
  },
}
