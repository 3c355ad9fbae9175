import { Opcode } from '../program.js'
import { floatsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { float, reads, updates, writes } from './signature.js'

const state = { dtypes: ['F32'] } as const

/** Of each row of a gradient: the sum of its squares, how many elements pass `clip` in size, how many are no numbers. */
export const gradientFacts: Operation = {
  name: 'gradientFacts',
  opcode: Opcode.GRADIENT_FACTS,
  operands: [writes('facts', 'S,3'), reads('gradient', 'S,N')],
  attributes: [float('clip')],
  check: ({ clip }) => (clip! > 0 ? undefined : `clip is ${clip}, expected more than 0`),
  run({ tensors: [facts, gradient], attributes }) {
    const columns = gradient!.shape[1]!
    for (let row = 0; row < gradient!.shape[0]!; row++) {
      const elements = floatsOf(gradient!).subarray(row * columns, (row + 1) * columns)
      let [squares, clipped, nonFinite] = [0, 0, 0]
      for (const element of elements) {
        if (!Number.isFinite(element)) nonFinite++
        else {
          squares += element * element
          if (Math.abs(element) > attributes.clip!) clipped++
        }
      }
      floatsOf(facts!).set([squares, clipped, nonFinite], row * 3)
    }
  },
}

/**
 * One step of AdamW (arXiv 1711.05101) with the gradient clipped by value, which is zero afterwards.
 *
 * `rates`: what the step number and the learning rate come to: 1 − learning rate · weight decay, learning rate ÷
 * (1 − beta1^step), 1 ÷ √(1 − beta2^step).
 */
export const adamW: Operation = {
  name: 'adamW',
  opcode: Opcode.ADAM_W,
  operands: [
    updates('parameter', 'S,N', state),
    updates('gradient', 'S,N', state),
    updates('firstMoment', 'S,N', state),
    updates('secondMoment', 'S,N', state),
    reads('rates', 'P'),
  ],
  attributes: [float('beta1'), float('beta2'), float('eps'), float('clip')],
  check({ beta1, beta2, eps, clip }, bindings) {
    if (bindings.get('P') !== 3) return `rates has ${bindings.get('P')} elements, expected 3`
    const isDecay = (beta: number) => beta >= 0 && beta < 1
    return isDecay(beta1!) && isDecay(beta2!) && eps! >= 0 && clip! > 0
      ? undefined
      : `beta1 ${beta1}, beta2 ${beta2}, eps ${eps}, clip ${clip}: expected decays below 1 and a clip above 0`
  },
  run({ tensors, attributes, arithmetic: { round } }) {
    const [parameter, gradient, first, second, rates] = tensors.map(floatsOf) as Float32Array[]
    const { beta1, beta2, eps, clip } = attributes as { beta1: number; beta2: number; eps: number; clip: number }
    const [keep, stepSize, rootScale] = rates as unknown as [number, number, number]
    const [rest1, rest2] = [round(1 - beta1), round(1 - beta2)]
    for (let i = 0; i < parameter!.length; i++) {
      const slope = Math.max(-clip, Math.min(clip, gradient![i]!))
      first![i] = round(beta1 * first![i]!) + round(rest1 * slope)
      second![i] = round(beta2 * second![i]!) + round(round(rest2 * slope) * slope)
      const root = round(round(round(Math.sqrt(second![i]!)) * rootScale) + eps)
      parameter![i] = round(parameter![i]! * keep) - round(stepSize * round(first![i]! / root))
      gradient![i] = 0
    }
  },
}
