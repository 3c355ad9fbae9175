import {
  type ChoiceRule,
  checkNumber,
  checkOptionKeys,
  type DraftCandidates,
  InvalidArgumentError,
  type Token,
} from '@hass-engine/core'
import { bestIndices } from './best.js'
import { checkLogits, logSoftmax, type TopCandidatesOptions, topCandidates } from './top-candidates.js'

/** The target's noise G(position, token) under the sequence's seed; standard Gumbel. */
export type GumbelNoise = (position: number, token: Token) => number

/** Scale s of coupled scores for a head of which nothing is known yet. */
export const defaultCouplingScale = 0.5

export interface CoupledCandidatesOptions extends TopCandidatesOptions {
  /** How the target chooses: temperature and cuts are applied to the draft's distribution likewise. */
  readonly rule: Pick<ChoiceRule, 'temperature' | 'topK' | 'topP' | 'minP'>
  /** `[rows]`, absolute position of the token that follows each row */
  readonly positions: ArrayLike<number>
  readonly noise: GumbelNoise
  /** s, above 0. Defaults to 0.5; `CouplingScale` finds it while generating. */
  readonly scale?: number
  /** Only so many most probable tokens of a row are given noise and ranked. Defaults to 256. */
  readonly pool?: number
}

/**
 * Candidates ranked by log q(v) + G(position, v), the draft's guess at what the target will choose with that very
 * noise; their log-probabilities are log softmax((log q + G) / s) over the tokens ranked. With q = p the first
 * candidate is the target's choice for certain. At temperature 0 they are the plain candidates.
 *
 * The cuts come in the order topK, topP, minP, behind the temperature.
 *
 * Source: Gumbel-max coupling; see the concepts page on coupled candidates.
 *
 * @throws InvalidArgumentError for a number out of bounds, or lengths that do not fit
 */
export function coupledCandidates(options: CoupledCandidatesOptions): DraftCandidates {
  const { rule, positions, noise, scale = defaultCouplingScale, pool = 256, ...plain } = options
  checkRule(rule)
  checkNumber(scale, 'scale', { above: 0, below: Infinity })
  checkNumber(pool, 'pool', { min: 1, isInteger: true })
  if (rule.temperature === 0) return topCandidates(plain)
  checkOptionKeys(plain, ['logits', 'rows', 'vocabSize', 'width'], 'coupledCandidates')
  const { rows, vocabSize } = checkLogits(plain)
  checkNumber(plain.width, 'width', { min: 0, isInteger: true })
  if (positions.length !== rows) {
    throw new InvalidArgumentError(`There are ${positions.length} positions for ${rows} rows.`, {
      positions: positions.length,
      rows,
    })
  }
  const ranked = Math.min(pool, rule.topK ?? pool, vocabSize)
  const width = Math.min(plain.width, ranked)
  const tokens = new Uint32Array(rows * width)
  const logProbs = new Float32Array(rows * width).fill(-Infinity)
  const draftLogProbs = new Float64Array(vocabSize)
  for (let row = 0; row < rows; row++) {
    logSoftmax(plain.logits, row * vocabSize, draftLogProbs, rule.temperature)
    const kept = cut(bestIndices(draftLogProbs, ranked), draftLogProbs, rule)
    const perturbed = Float64Array.from(kept, (token) => draftLogProbs[token]! + noise(positions[row]!, token))
    const scores = new Float64Array(kept.length)
    logSoftmax(perturbed, 0, scores, scale)
    for (const [rank, i] of bestIndices(perturbed, width).entries()) {
      tokens[row * width + rank] = kept[i]!
      logProbs[row * width + rank] = scores[i]!
    }
  }
  return { rows, width, tokens, logProbs }
}

function checkRule({ temperature, topK, topP, minP }: CoupledCandidatesOptions['rule']): void {
  checkNumber(temperature, 'rule.temperature', { min: 0, below: Infinity })
  if (topK !== undefined) checkNumber(topK, 'rule.topK', { min: 1, isInteger: true })
  if (topP !== undefined) checkNumber(topP, 'rule.topP', { above: 0, max: 1 })
  if (minP !== undefined) checkNumber(minP, 'rule.minP', { min: 0, max: 1 })
}

/** What topP and minP leave of tokens in descending order, the first at least. */
function cut(
  sorted: Uint32Array,
  logProbs: Float64Array,
  { topK, topP = 1, minP = 0 }: CoupledCandidatesOptions['rule'],
): Uint32Array {
  // Behind topK the distribution is that of the tokens kept; without it, that of the whole vocabulary.
  const total = topK === undefined ? 1 : sorted.reduce((sum, token) => sum + Math.exp(logProbs[token]!), 0)
  const least = Math.exp(logProbs[sorted[0]!]!) * minP
  let mass = 0
  let count = 0
  while (count < sorted.length) {
    const prob = Math.exp(logProbs[sorted[count]!]!)
    if (count > 0 && ((topP < 1 && mass >= topP * total) || prob < least)) break
    mass += prob
    count++
  }
  return sorted.subarray(0, count)
}

export interface CouplingScaleOptions {
  /** Defaults to 0.5. */
  readonly initial?: number
  /** Step of log s per observation, above 0. Defaults to 0.02. */
  readonly learningRate?: number
}

/** The scale s of coupled scores, moved along the gradient of the log-likelihood of what the target chose. */
export class CouplingScale {
  readonly #learningRate: number
  #logScale: number

  constructor(options: CouplingScaleOptions = {}) {
    checkOptionKeys(options, ['initial', 'learningRate'], 'CouplingScale')
    const initial = checkNumber(options.initial ?? defaultCouplingScale, 'initial', { min: 0.02, max: 10 })
    this.#logScale = Math.log(initial)
    this.#learningRate = checkNumber(options.learningRate ?? 0.02, 'learningRate', { above: 0, max: 1 })
  }

  /** From 0.02 to 10. */
  get value(): number {
    return Math.exp(this.#logScale)
  }

  /**
   * Learns from one row that the verification visited.
   *
   * d log π(c) / d log(1/s) = log π(c) − E_π[log π]; what the candidates leave counts like the last of them.
   *
   * @param logProbs `[width]`, the row's scores under the present scale, best first
   * @param chosen rank of the target's choice, -1 if it was no candidate
   */
  observe(logProbs: ArrayLike<number>, chosen: number): void {
    let mass = 0
    let mean = 0
    let last = 0
    for (let rank = 0; rank < logProbs.length; rank++) {
      if (!Number.isFinite(logProbs[rank]!)) break
      last = Math.min(logProbs[rank]!, 0)
      mass += Math.exp(last)
      mean += Math.exp(last) * last
    }
    mean += Math.max(0, 1 - mass) * last
    const own = logProbs[chosen] ?? last
    if (!Number.isFinite(own)) return
    const step = Math.max(-1, Math.min(1, own - mean))
    this.#logScale = Math.min(Math.log(10), Math.max(Math.log(0.02), this.#logScale - this.#learningRate * step))
  }
}
