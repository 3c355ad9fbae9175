import { add, linear, rmsNorm, rope, siluMul } from './arithmetic.js'

export interface LayerShape {
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
  readonly ropeTheta: number
  readonly epsilon: number
}

/** One decoder layer's weights, `[out, in]` each; a draft head's layer has no input norm. */
export interface LayerWeights {
  readonly inputNorm?: Float32Array
  readonly query: Projection
  readonly key: Projection
  readonly value: Projection
  readonly output: Projection
  readonly postAttentionNorm: Float32Array
  readonly gate: Projection
  readonly up: Projection
  readonly down: Projection
}

export interface Projection {
  readonly weight: Float32Array
  readonly bias?: Float32Array
}

/** Key and value of one row, `[kvHeads, headSize]` each; the key is rotated. */
export interface KvEntry {
  readonly key: Float32Array
  readonly value: Float32Array
}

/**
 * Runs one row through a layer.
 *
 * @param x `[hidden]`, the residual stream
 * @param context entries that the row sees, in logical order, without its own
 * @returns the residual stream after the layer, and the row's own entry
 */
export function runLayer(
  x: Float32Array,
  position: number,
  context: readonly KvEntry[],
  weights: LayerWeights,
  shape: LayerShape,
): { x: Float32Array; entry: KvEntry } {
  const { headSize, ropeTheta, epsilon } = shape
  const normed = weights.inputNorm ? rmsNorm(x, weights.inputNorm, epsilon) : x
  const query = rope(project(weights.query, normed), headSize, position, ropeTheta)
  const entry = {
    key: rope(project(weights.key, normed), headSize, position, ropeTheta),
    value: project(weights.value, normed),
  }
  const attended = add(x, project(weights.output, attend(query, [...context, entry], shape)))
  const mlpInput = rmsNorm(attended, weights.postAttentionNorm, epsilon)
  const hidden = siluMul(project(weights.gate, mlpInput), project(weights.up, mlpInput))
  return { x: add(attended, project(weights.down, hidden)), entry }
}

function project({ weight, bias }: Projection, x: Float32Array): Float32Array {
  return linear(weight, x, bias)
}

/** Softmax attention of one row's heads, visiting the entries in the order given: the same order, the same bits. */
function attend(
  query: Float32Array,
  entries: readonly KvEntry[],
  { heads, kvHeads, headSize }: LayerShape,
): Float32Array {
  const result = new Float32Array(query.length)
  for (let head = 0; head < heads; head++) {
    const from = head * headSize
    const kvFrom = Math.floor((head * kvHeads) / heads) * headSize
    const scores = entries.map(({ key }) => {
      let dot = 0
      for (let i = 0; i < headSize; i++) dot += query[from + i]! * key[kvFrom + i]!
      return dot / Math.sqrt(headSize)
    })
    const highest = Math.max(...scores)
    const exponentials = scores.map((score) => Math.exp(score - highest))
    const sum = exponentials.reduce((total, value) => total + value, 0)
    for (let i = 0; i < headSize; i++) {
      let weighted = 0
      for (let at = 0; at < entries.length; at++) weighted += exponentials[at]! * entries[at]!.value[kvFrom + i]!
      result[from + i] = weighted / sum
    }
  }
  return result
}
