import { Opcode } from '../program.js'
import { floatsOf, wordsOf } from '../reference/host-tensor.js'
import { narrowInto } from '../reference/widen.js'
import type { Operation } from './operation.js'
import { reads, updates } from './signature.js'
import { checkBelow, checkDistinct } from './values.js'

/** `cache[slots[r]] = x[r]`, rounded to the cache's dtype. */
export const cacheWrite: Operation = {
  name: 'cacheWrite',
  opcode: Opcode.CACHE_WRITE,
  operands: [updates('cache', 'S,N'), reads('x', 'R,N'), reads('slots', 'R', { dtypes: ['U32'] })],
  attributes: [],
  checkValues({ tensors: [cache, , slots] }) {
    checkBelow(slots!, cache!.shape[0]!, 'slot')
    checkDistinct(slots!, 'slot')
  },
  run({ tensors: [cache, x, slots] }) {
    const columns = x!.shape[1]!
    for (const [row, slot] of wordsOf(slots!).entries()) {
      narrowInto(cache!, slot * columns, floatsOf(x!), row * columns, columns)
    }
  },
}
