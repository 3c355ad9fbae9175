import { Opcode } from '../program.js'
import { createLanes, dotLanes } from '../reference/arithmetic.js'
import { floatsOf, type HostTensor } from '../reference/host-tensor.js'
import type { Operation, ReferenceCall } from './operation.js'
import { rmsNormGradient, rmsNormWeightGradient } from './rms-norm-gradient.js'
import { float, reads, writes } from './signature.js'

/** `y = x / sqrt(mean(x²) + eps) · weight` over each group of as many columns as `weight` has. May run in place. */
export function normalize(y: HostTensor, x: HostTensor, weight: HostTensor, eps: number, call: ReferenceCall): void {
  const { round } = call.arithmetic
  const lanes = createLanes(call.arithmetic)
  const size = weight.shape[0]!
  const [source, target, factors] = [floatsOf(x), floatsOf(y), floatsOf(weight)]
  for (let at = 0; at + size <= source.length && size > 0; at += size) {
    const sum = dotLanes(source, at, source, at, size, lanes, round)
    const inverse = round(1 / round(Math.sqrt(round(round(sum / size) + eps))))
    for (let i = 0; i < size; i++) target[at + i] = round(source[at + i]! * inverse) * factors[i]!
  }
}

/** Root mean square norm, arXiv 1910.07467. */
export const rmsNorm: Operation = {
  name: 'rmsNorm',
  opcode: Opcode.RMS_NORM,
  operands: [writes('y', 'R,N*D'), reads('x', 'R,N*D'), reads('weight', 'D')],
  attributes: [float('eps')],
  check: ({ eps }) => (eps! >= 0 ? undefined : `eps is ${eps}, expected at least 0`),
  run(call) {
    const [y, x, weight] = call.tensors
    normalize(y!, x!, weight!, call.attributes.eps!, call)
  },
  vjp({ inputs: [x, weight], outputGradients: [dy], attributes, wants, accumulators: [, sum], emit }) {
    if (sum) emit(rmsNormWeightGradient, [sum, x, dy], attributes)
    return [wants[0] ? emit(rmsNormGradient, [x, weight, dy], attributes)[0] : undefined, undefined]
  },
}
