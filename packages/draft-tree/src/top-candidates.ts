import { checkNumber, checkOptionKeys, type DraftCandidates, InvalidArgumentError } from '@hass-engine/core'
import { bestIndices } from './best.js'

export interface TopCandidatesOptions {
  /** `[rows, vocabSize] float32` row-major */
  readonly logits: ArrayLike<number>
  readonly rows: number
  readonly vocabSize: number
  /** Candidates per row; no more than the vocabulary has come. */
  readonly width: number
}

/**
 * The most probable tokens of each row with log-softmax log-probabilities over the whole vocabulary, as float32
 * arithmetic gives them; of equals the lower id. NaN logits count as -Infinity.
 *
 * @throws InvalidArgumentError if the logits are not `rows × vocabSize` numbers
 */
export function topCandidates(options: TopCandidatesOptions): DraftCandidates {
  checkOptionKeys(options, ['logits', 'rows', 'vocabSize', 'width'], 'topCandidates')
  const { rows, vocabSize } = checkLogits(options)
  const width = Math.min(checkNumber(options.width, 'width', { min: 0, isInteger: true }), vocabSize)
  const tokens = new Uint32Array(rows * width)
  const logProbs = new Float32Array(rows * width)
  const rowLogProbs = new Float32Array(vocabSize)
  for (let row = 0; row < rows; row++) {
    logSoftmax(options.logits, row * vocabSize, rowLogProbs)
    const best = bestIndices(rowLogProbs, width)
    tokens.set(best, row * width)
    for (let rank = 0; rank < width; rank++) logProbs[row * width + rank] = rowLogProbs[best[rank]!]!
  }
  return { rows, width, tokens, logProbs }
}

/** @throws InvalidArgumentError if the logits are not `rows × vocabSize` numbers */
export function checkLogits(options: { logits: ArrayLike<number>; rows: number; vocabSize: number }): {
  rows: number
  vocabSize: number
} {
  const rows = checkNumber(options.rows, 'rows', { min: 0, isInteger: true })
  const vocabSize = checkNumber(options.vocabSize, 'vocabSize', { min: 1, isInteger: true })
  if (options.logits.length !== rows * vocabSize) {
    throw new InvalidArgumentError(
      `There are ${options.logits.length} logits, expected ${rows} rows of ${vocabSize}: ${rows * vocabSize}.`,
      { logits: options.logits.length, rows, vocabSize },
    )
  }
  return { rows, vocabSize }
}

/**
 * `result[v] = logit_v / temperature - log Σ exp(logit / temperature)` of one row.
 *
 * Infinite logits share all probability evenly; a row of nothing but -Infinity and NaN stays -Infinity.
 */
export function logSoftmax(
  logits: ArrayLike<number>,
  start: number,
  result: Float32Array | Float64Array,
  temperature = 1,
): void {
  let max = -Infinity
  for (let v = 0; v < result.length; v++) if (logits[start + v]! > max) max = logits[start + v]!
  if (Math.abs(max) === Infinity) {
    degenerateLogSoftmax(logits, start, result)
    return
  }
  let sum = 0
  for (let v = 0; v < result.length; v++) {
    const shifted = (logits[start + v]! - max) / temperature
    result[v] = Number.isNaN(shifted) ? -Infinity : shifted
    sum += Math.exp(result[v]!)
  }
  const logSum = Math.log(sum)
  for (let v = 0; v < result.length; v++) result[v] = result[v]! - logSum
}

function degenerateLogSoftmax(logits: ArrayLike<number>, start: number, result: Float32Array | Float64Array): void {
  let infinite = 0
  for (let v = 0; v < result.length; v++) if (logits[start + v] === Infinity) infinite++
  for (let v = 0; v < result.length; v++) {
    result[v] = logits[start + v] === Infinity ? -Math.log(infinite) : -Infinity
  }
}
