import { Opcode } from '../program.js'
import type { Arithmetic } from '../reference/arithmetic.js'
import { floatsOf } from '../reference/host-tensor.js'
import type { Operation } from './operation.js'
import { float, integer, reads, writes } from './signature.js'

/** Columns of `losses`. */
export const distillationLosses = ['feature', 'token', 'topK', 'agreement'] as const

/** Logits of one feature over the rows of `lmHead`, their softmax, and the logarithm of its denominator. */
function predict(feature: Float32Array, lmHead: Float32Array, { round, exp, log }: Arithmetic) {
  const columns = feature.length
  const logits = Array.from({ length: lmHead.length / columns }, (_, token) => {
    let sum = 0
    for (let i = 0; i < columns; i++) sum = round(sum + round(feature[i]! * lmHead[token * columns + i]!))
    return sum
  })
  const largest = logits.reduce((best, logit) => Math.max(best, logit), -Infinity)
  const total = logits.reduce((sum, logit) => sum + exp(round(logit - largest)), 0)
  const logTotal = round(largest + log(round(total)))
  return { logits, probs: logits.map((logit) => exp(round(logit - logTotal))), logTotal }
}

/** Tokens by falling score, equals by rising id. */
function ranking(scores: ArrayLike<number>): number[] {
  return Array.from(scores, (_, token) => token).sort((a, b) => scores[b]! - scores[a]! || a - b)
}

/**
 * The harmonized objective (HASS, section 3.1) of each row and its gradient by the prediction, without keeping a
 * logit: smooth L1 of the features (a mean over columns), cross-entropy of the head's token distribution q under the
 * target's p, and the same sum over the K most probable tokens of p alone. q is the softmax over `lmHead`'s rows, which
 * are all tokens or a draft vocabulary; p is given, since all alignment steps share it.
 *
 * `gradient` is that of `featureWeights[r] · wFeature · feature + tokenWeights[r] · (wToken · token + wTopK · topK)`.
 * The fourth loss is 1 where p and q have the same most probable token.
 */
export const distillation: Operation = {
  name: 'distillation',
  opcode: Opcode.DISTILLATION,
  operands: [
    writes('losses', 'R,4'),
    writes('gradient', 'R,E'),
    reads('prediction', 'R,E'),
    reads('target', 'R,E'),
    reads('targetProbs', 'R,V'),
    reads('lmHead', 'V,E'),
    reads('featureWeights', 'R'),
    reads('tokenWeights', 'R'),
  ],
  attributes: [integer('K'), float('wFeature'), float('wToken'), float('wTopK')],
  check({ K, wFeature, wToken, wTopK }, bindings) {
    const vocabulary = bindings.get('V')!
    if (!(K! >= 1 && K! <= vocabulary)) return `K is ${K}, expected 1 to the ${vocabulary} rows of lmHead`
    const isWhole = [wFeature, wToken, wTopK].every((weight) => Number.isFinite(weight))
    return isWhole ? undefined : 'a weight of a loss is no finite number'
  },
  run({ tensors, attributes, arithmetic }) {
    const [losses, gradient, predictions, targets, targetProbs, lmHead, featureWeights, tokenWeights] = tensors.map(
      floatsOf,
    ) as Float32Array[]
    const { K, wFeature, wToken, wTopK } = attributes as { K: number; wFeature: number; wToken: number; wTopK: number }
    const { round } = arithmetic
    const columns = tensors[2]!.shape[1]!
    for (let row = 0; row < tensors[2]!.shape[0]!; row++) {
      const at = row * columns
      const head = predict(predictions!.subarray(at, at + columns), lmHead!, arithmetic)
      const vocabulary = head.logits.length
      const target = targetProbs!.subarray(row * vocabulary, (row + 1) * vocabulary)
      const ranked = ranking(target)
      const top = new Set(ranked.slice(0, K))
      const entropy = (tokens: Iterable<number>) => {
        let sum = 0
        for (const token of tokens) sum += target[token]! * (head.logTotal - head.logits[token]!)
        return sum
      }
      let feature = 0
      for (let i = 0; i < columns; i++) {
        const difference = round(predictions![at + i]! - targets![at + i]!)
        const size = Math.abs(difference)
        feature += size < 1 ? 0.5 * difference * difference : size - 0.5
        gradient![at + i] = (featureWeights![row]! * wFeature * Math.max(-1, Math.min(1, difference))) / columns
      }
      const isSame = ranking(head.logits)[0] === ranked[0] ? 1 : 0
      losses!.set([feature / columns, entropy(ranked), entropy(top), isSame], row * 4)
      const topMass = ranked.slice(0, K).reduce((sum, token) => sum + target[token]!, 0)
      for (const [token, q] of head.probs.entries()) {
        const pull = (wToken + wTopK * topMass) * q - (wToken + (top.has(token) ? wTopK : 0)) * target[token]!
        const slope = round(tokenWeights![row]! * pull)
        for (let i = 0; i < columns; i++) {
          gradient![at + i] = gradient![at + i]! + round(slope * lmHead![token * columns + i]!)
        }
      }
    }
  },
}
