import type { FeatureRows, LogitsRows } from '@hass-engine/core'
import { createNoiseField } from '@hass-engine/sampler'

/** `FeatureRows` over plain arrays. */
export function featureRows(rows: readonly Float32Array[], hiddenSize: number): FeatureRows {
  return { rows: rows.length, hiddenSize, read: (row) => rows[row]!.slice() }
}

/** `LogitsRows` over plain arrays, computed when a row is first asked for. */
export function logitsRows(rows: number, vocabSize: number, compute: (row: number) => Float32Array): LogitsRows {
  const known = new Map<number, Float32Array>()
  const read = (row: number): Float32Array => {
    let logits = known.get(row)
    if (!logits) {
      logits = compute(row)
      known.set(row, logits)
    }
    return logits
  }
  return {
    rows,
    vocabSize,
    read: (row) => read(row).slice(),
    argMax: (row) => indexOfLargest(read(row)),
    gumbelArgMax(row, { temperature, seed, position }) {
      const noise = createNoiseField(seed)
      return indexOfLargest(read(row).map((logit, token) => logit / temperature + noise.gumbel(position, token)))
    },
  }
}

/** The lowest index among equals. */
function indexOfLargest(values: Float32Array): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}
