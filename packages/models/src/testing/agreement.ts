import { floats, type GoldenTensor } from '../../../../test/support/golden.js'

/** What a text's float32 model says at each of its positions, as golden/smollm2 holds it. */
export interface ExpectedText {
  readonly tokens: readonly number[]
  /** Of position t: the largest logits, falling, with their ids, and log Σ exp over the vocabulary. */
  at(position: number): { readonly ids: Int32Array; readonly logits: Float32Array; readonly logSumExp: number }
  /** Positions with a whole row of logits. */
  readonly wholeRows: ReadonlyMap<number, Float32Array>
}

export function expectedText(tensors: Map<string, GoldenTensor>, name: string): ExpectedText {
  const integers = (key: string) => Array.from(tensors.get(`${name}.${key}`)!.data as BigInt64Array, Number)
  const ids = tensors.get(`${name}.top_ids`)!
  const top = ids.shape[1]!
  const logits = floats(tensors, `${name}.top_logits`)
  const logSumExp = floats(tensors, `${name}.logsumexp`)
  const rows = floats(tensors, `${name}.logits`)
  const vocabSize = tensors.get(`${name}.logits`)!.shape[1]!
  return {
    tokens: integers('input_ids'),
    at: (position) => ({
      ids: (ids.data as Int32Array).subarray(position * top, (position + 1) * top),
      logits: logits.subarray(position * top, (position + 1) * top),
      logSumExp: logSumExp[position]!,
    }),
    wholeRows: new Map(
      integers('positions').map((position, i) => [position, rows.subarray(i * vocabSize, (i + 1) * vocabSize)]),
    ),
  }
}

/** How near logits come to the float32 model's, over positions. */
export class Agreement {
  positions = 0
  /** Positions whose float32 margin between the best two is clear, and those of them with the same best token. */
  clear = 0
  agreed = 0
  /** Sums over positions. */
  #divergence = 0
  #topDivergence = 0
  #wholeDivergence = 0
  #whole = 0

  add(found: Float32Array, text: ExpectedText, position: number): void {
    const { ids, logits, logSumExp } = text.at(position)
    this.positions++
    if (logits[0]! - logits[1]! > 0.25) {
      this.clear++
      if (argMax(found) === ids[0]) this.agreed++
    }
    const expected = Float64Array.from(logits, (logit) => logit - logSumExp)
    const foundSum = logSum(found)
    const actual = Float64Array.from(ids, (id) => found[id]! - foundSum)
    this.#divergence += divergence(withRest(expected), withRest(actual))
    this.#topDivergence += divergence(normalized(expected), normalized(actual))
    const whole = text.wholeRows.get(position)
    if (!whole) return
    this.#whole++
    this.#wholeDivergence += divergence(normalized(Float64Array.from(whole)), normalized(Float64Array.from(found)))
  }

  get agreement(): number {
    return this.agreed / this.clear
  }

  /** Mean KL(float32 ‖ found) in nats, all tokens beyond the largest taken as one. */
  get meanDivergence(): number {
    return this.#divergence / this.positions
  }

  /** The same of the largest tokens alone, renormalized: free of the error of the recorded float32 sums. */
  get meanTopDivergence(): number {
    return this.#topDivergence / this.positions
  }

  /** The same over the whole vocabulary, at the positions that have it. */
  get meanWholeDivergence(): number {
    return this.#wholeDivergence / this.#whole
  }
}

function argMax(row: Float32Array): number {
  let best = 0
  for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i
  return best
}

function logSum(row: ArrayLike<number>): number {
  let largest = -Infinity
  for (let i = 0; i < row.length; i++) largest = Math.max(largest, row[i]!)
  let sum = 0
  for (let i = 0; i < row.length; i++) sum += Math.exp(row[i]! - largest)
  return largest + Math.log(sum)
}

function normalized(logits: Float64Array): Float64Array {
  const sum = logSum(logits)
  return logits.map((logit) => logit - sum)
}

/** Log-probabilities, and the log of what they leave; rounding must not leave less than nothing. */
function withRest(logProbs: Float64Array): Float64Array {
  const rest = 1 - logProbs.reduce((sum, logProb) => sum + Math.exp(logProb), 0)
  return Float64Array.of(...logProbs, Math.log(Math.max(rest, 1e-12)))
}

function divergence(expected: Float64Array, actual: Float64Array): number {
  return expected.reduce((sum, logProb, i) => sum + Math.exp(logProb) * (logProb - actual[i]!), 0)
}
