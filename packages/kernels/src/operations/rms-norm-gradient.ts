import { Opcode } from '../program.js'
import { createLanes, dotLanes } from '../reference/arithmetic.js'
import { floatsOf, type HostTensor } from '../reference/host-tensor.js'
import type { Operation, ReferenceCall } from './operation.js'
import { float, reads, updates, writes } from './signature.js'

/** `1 / sqrt(mean(x²) + eps)` of each group of `size` elements. */
function inverses(x: HostTensor, size: number, { attributes, arithmetic }: ReferenceCall): number[] {
  const { round } = arithmetic
  const lanes = createLanes(arithmetic)
  const source = floatsOf(x)
  return Array.from({ length: source.length / size }, (_, group) => {
    const squares = dotLanes(source, group * size, source, group * size, size, lanes, round)
    return round(1 / round(Math.sqrt(round(round(squares / size) + attributes.eps!))))
  })
}

/**
 * Gradient of RMSNorm by its input: with v the inverse root of a group, g = dy · weight and
 * c = v³ · mean(g · x), `dx = g · v − x · c`.
 */
export const rmsNormGradient: Operation = {
  name: 'rmsNormGradient',
  opcode: Opcode.RMS_NORM_GRADIENT,
  operands: [writes('dx', 'R,N*D'), reads('x', 'R,N*D'), reads('weight', 'D'), reads('dy', 'R,N*D')],
  attributes: [float('eps')],
  check: ({ eps }) => (eps! >= 0 ? undefined : `eps is ${eps}, expected at least 0`),
  run(call) {
    const [dx, x, weight, dy] = call.tensors
    const { round } = call.arithmetic
    const lanes = createLanes(call.arithmetic)
    const size = weight!.shape[0]!
    const [target, source, factors, slopes] = [dx!, x!, weight!, dy!].map(floatsOf) as Float32Array[]
    const scaled = source!.slice(0, size)
    for (const [group, inverse] of inverses(x!, size, call).entries()) {
      const at = group * size
      for (let i = 0; i < size; i++) scaled[i] = slopes![at + i]! * factors![i]!
      const mean = round(dotLanes(scaled, 0, source!, at, size, lanes, round) / size)
      const pull = round(round(round(inverse * inverse) * inverse) * mean)
      for (let i = 0; i < size; i++) {
        target![at + i] = round(scaled[i]! * inverse) - round(source![at + i]! * pull)
      }
    }
  },
}

/** Gradient of RMSNorm by its weight, on top of `sum`: `sum[d] = sum[d] + Σ dy · x · v`, rows and groups ascending. */
export const rmsNormWeightGradient: Operation = {
  name: 'rmsNormWeightGradient',
  opcode: Opcode.RMS_NORM_WEIGHT_GRADIENT,
  operands: [updates('sum', 'D', { dtypes: ['F32'] }), reads('x', 'R,N*D'), reads('dy', 'R,N*D')],
  attributes: [float('eps')],
  check: ({ eps }) => (eps! >= 0 ? undefined : `eps is ${eps}, expected at least 0`),
  run(call) {
    const [sum, x, dy] = call.tensors
    const { round } = call.arithmetic
    const size = sum!.shape[0]!
    const [total, source, slopes] = [sum!, x!, dy!].map(floatsOf) as Float32Array[]
    for (const [group, inverse] of inverses(x!, size, call).entries()) {
      for (let i = 0; i < size; i++) {
        const at = group * size + i
        total![i] = total![i]! + round(slopes![at]! * round(source![at]! * inverse))
      }
    }
  },
}
