import { log } from '@hass-engine/core'
import type { LogitsProcessor } from './processor.js'
import { fillWeights, largestLogit } from './row.js'
import { createSelector } from './selection.js'

/** Keeps the `k` tokens with the largest logits; of equals the lower ids. */
export function topK(k: number): LogitsProcessor {
  const select = createSelector()
  return {
    name: 'topK',
    process(logits) {
      if (k >= logits.length) return
      largestLogit(logits)
      select(logits, logits, k, undefined, floorOfTopK(logits, k))
    },
  }
}

/** A bound of the k-th largest logit from below: the k-th largest of the maxima of 8k stretches of the row. */
function floorOfTopK(logits: Float64Array, k: number): number {
  const length = Math.floor(logits.length / (8 * k))
  if (length < 2) return -Infinity
  const maxima = new Float64Array(8 * k)
  for (let i = 0; i < maxima.length; i++) {
    let largest = -Infinity
    for (let j = i * length; j < (i + 1) * length; j++) if (logits[j]! > largest) largest = logits[j]!
    maxima[i] = largest
  }
  return maxima.sort()[7 * k]!
}

/** Keeps the most probable tokens until their probability reaches `p`: nucleus sampling (arXiv 1904.09751). */
export function topP(p: number): LogitsProcessor {
  const select = createSelector()
  let weights = new Float64Array(0)
  return {
    name: 'topP',
    process(logits) {
      if (p === 1) return
      if (weights.length !== logits.length) weights = new Float64Array(logits.length)
      const largest = largestLogit(logits)
      const total = fillWeights(weights, logits, largest)
      // All tokens below this floor together weigh less than what may be cut; 1e-9 is room for rounding.
      const floor = largest + log(((1 - p) * total) / logits.length) - 1e-9 * (1 + Math.abs(largest))
      select(logits, logits, p * total, weights, floor)
    },
  }
}

/** Keeps the tokens with at least `p` times the probability of the most probable one (arXiv 2407.01082). */
export function minP(p: number): LogitsProcessor {
  const distance = log(p)
  return {
    name: 'minP',
    process(logits) {
      const least = largestLogit(logits) + distance
      for (let i = 0; i < logits.length; i++) if (logits[i]! < least) logits[i] = -Infinity
    },
  }
}

/**
 * Keeps the tokens whose surprise is closest to the entropy until their probability reaches `p`: locally typical
 * sampling (arXiv 2202.00666).
 */
export function typicalP(p: number): LogitsProcessor {
  const select = createSelector()
  let weights = new Float64Array(0)
  let keys = new Float64Array(0)
  return {
    name: 'typicalP',
    process(logits) {
      if (p === 1) return
      if (weights.length !== logits.length) {
        weights = new Float64Array(logits.length)
        keys = new Float64Array(logits.length)
      }
      const largest = largestLogit(logits)
      const total = fillWeights(weights, logits, largest)
      let meanLogit = 0
      for (let i = 0; i < logits.length; i++) {
        if (weights[i]! > 0) meanLogit += (weights[i]! / total) * (logits[i]! - largest)
      }
      // Surprise minus entropy: the logarithm of the total is in both and falls out.
      for (let i = 0; i < logits.length; i++) keys[i] = -Math.abs(logits[i]! - largest - meanLogit)
      select(logits, keys, p * total, weights)
    },
  }
}
