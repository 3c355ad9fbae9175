import { Opcode } from '../program.js'
import { wordsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { reads, updates } from './signature.js'
import { checkBelow, checkDistinct } from './values.js'

/** `state[to[i]] = state[from[i]]`, all reads before all writes. */
export const cacheCopy: Operation = {
  name: 'cacheCopy',
  opcode: Opcode.CACHE_COPY,
  operands: [updates('state', 'S,N'), reads('from', 'L', { dtypes: ['U32'] }), reads('to', 'L', { dtypes: ['U32'] })],
  attributes: [],
  checkValues({ tensors: [state, from, to] }) {
    checkBelow(from!, state!.shape[0]!, 'slot')
    checkBelow(to!, state!.shape[0]!, 'slot')
    checkDistinct(to!, 'slot')
  },
  run({ tensors: [state, from, to] }) {
    const columns = state!.shape[1]!
    const rows = Array.from(wordsOf(from!), (slot) => state!.data.slice(slot * columns, (slot + 1) * columns))
    for (const [i, slot] of wordsOf(to!).entries()) state!.data.set(rows[i]!, slot * columns)
  },
}
