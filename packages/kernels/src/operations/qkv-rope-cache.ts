import { Opcode } from '../program.js'
import { createScratch } from '../reference/arithmetic.js'
import type { HostTensor } from '../reference/host-tensor.js'
import { runLinear } from '../reference/linear-kernel.js'
import { cacheWrite } from './cache-write.js'
import { checkActivationBlock } from './linear.js'
import type { Operation } from './operation.js'
import { normalize } from './rms-norm.js'
import { rope } from './rope.js'
import { float, integer, reads, updates, weightDTypes, writes } from './signature.js'
import { sliceColumns } from './slice-columns.js'
import { checkBelow, checkDistinct } from './values.js'

/** The linear of q, k and v, norms per head where given, rope of q and k, cache writes: the bits of the chain. */
export const qkvRopeCache: Operation = {
  name: 'qkvRopeCache',
  opcode: Opcode.QKV_ROPE_CACHE,
  operands: [
    writes('q', 'R,H*D'),
    updates('keys', 'S,G*D'),
    updates('values', 'S,G*D'),
    reads('x', 'R,E'),
    reads('weight', 'H*D+G*D+G*D,E', { dtypes: weightDTypes }),
    reads('bias', 'H*D+G*D+G*D', { isOptional: true }),
    reads('qNorm', 'D', { isOptional: true }),
    reads('kNorm', 'D', { isOptional: true }),
    reads('positions', 'R', { dtypes: ['U32'] }),
    reads('table', 'P,D'),
    reads('slots', 'R', { dtypes: ['U32'] }),
  ],
  attributes: [integer('activationBlock'), integer('H'), integer('G'), integer('D'), integer('pairing'), float('eps')],
  check(attributes, bindings) {
    return checkActivationBlock(attributes) ?? rope.check!(attributes, bindings)
  },
  checkValues({ tensors: [, keys, , , , , , , positions, table, slots] }) {
    checkBelow(positions!, table!.shape[0]!, 'position')
    checkBelow(slots!, keys!.shape[0]!, 'slot')
    checkDistinct(slots!, 'slot')
  },
  run(call) {
    const { attributes, arithmetic } = call
    const [q, keys, values, x, weight, bias, qNorm, kNorm, positions, table, slots] = call.tensors
    const { H, G, D, activationBlock, eps } = attributes as Record<string, number>
    const rows = x!.shape[0]!
    const scratch = (columns: number): HostTensor => ({
      dtype: 'F32',
      shape: [rows, columns],
      data: createScratch(arithmetic, rows * columns),
    })
    const all = scratch((H! + 2 * G!) * D!)
    runLinear({
      x: x!,
      weight: weight!,
      bias,
      activationBlock: activationBlock!,
      y: all.data as Float32Array,
      arithmetic,
    })
    const part = (from: number, columns: number) => {
      const y = scratch(columns)
      sliceColumns.run({ ...call, tensors: [y, all], attributes: { from } })
      return y
    }
    const headsQ = part(0, H! * D!)
    const headsK = part(H! * D!, G! * D!)
    const rotatedK = scratch(G! * D!)
    if (qNorm) normalize(headsQ, headsQ, qNorm, eps!, call)
    if (kNorm) normalize(headsK, headsK, kNorm, eps!, call)
    rope.run({ ...call, tensors: [q!, headsQ, positions!, table!] })
    rope.run({ ...call, tensors: [rotatedK, headsK, positions!, table!] })
    cacheWrite.run({ ...call, tensors: [keys!, rotatedK, slots!] })
    cacheWrite.run({ ...call, tensors: [values!, part((H! + G!) * D!, G! * D!), slots!] })
  },
}
