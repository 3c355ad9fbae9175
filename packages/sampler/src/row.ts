import type { Token } from '@hass-engine/core'
import { BadLogitsError, NoTokenLeftError } from './errors.js'
import { exp, log } from './float-math.js'
import { gumbelOfWord, type NoiseField } from './noise-field.js'

/**
 * Copies `[vocabSize] float32` logits to `[vocabSize] float64`.
 *
 * @throws BadLogitsError `HASS_ERR_BAD_LOGITS` for a NaN
 */
export function loadRow(row: Float32Array): Float64Array {
  const logits = Float64Array.from(row)
  largestLogit(logits, 'the forward pass')
  return logits
}

/** Where a bad row comes from, for the message. */
export const processing = 'the logits processors'

/**
 * The largest logit of a row, which is finite when this returns: +∞ is certainty, so the first +∞ becomes 0 and
 * everything else −∞.
 *
 * @throws BadLogitsError `HASS_ERR_BAD_LOGITS` for a NaN
 * @throws NoTokenLeftError `HASS_ERR_NO_TOKEN_LEFT` if all are −∞
 */
export function largestLogit(logits: Float64Array, source: string = processing): number {
  const token = argMax(logits, source)
  if (logits[token] === Infinity) logits.fill(-Infinity).fill(0, token, token + 1)
  return logits[token]!
}

/** The lowest of the tokens with the largest logit; throws as `largestLogit` does. */
export function argMax(logits: Float32Array | Float64Array, source = 'the forward pass'): Token {
  let best = -Infinity
  let token = -1
  // A sum tells of a NaN at a fraction of the cost of asking each element; so do ∞ − ∞, hence the second look.
  let sum = 0
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i]!
    sum += logit
    if (logit > best) {
      best = logit
      token = i
    }
  }
  if (Number.isNaN(sum)) {
    const bad = logits.findIndex(Number.isNaN)
    if (bad !== -1) throw new BadLogitsError(bad, source)
  }
  if (token === -1) throw new NoTokenLeftError(source)
  return token
}

// No noise of the field is larger: it belongs to the word 0, u = 2⁻³³, and is 22.87.
const largestGumbel = 22.875
// Above what rounding could add to a bound that is a sum of numbers below 1e3 in size.
const boundSlack = 1e-9

/**
 * `argmax_v(logits_v / temperature + G(seed, position, v))` in float64, of equals the lowest id: a draw from
 * softmax(logits / temperature) by the Gumbel-max method.
 *
 * Noise is computed only where it could still win, which changes no result.
 */
export function gumbelArgMax(
  logits: Float32Array | Float64Array,
  temperature: number,
  noise: NoiseField,
  position: number,
  source?: string,
): Token {
  let token = argMax(logits, source)
  if (logits[token] === Infinity) return token
  const first = token
  let best = logits[token]! / temperature + noise.gumbel(position, token)
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i]! / temperature
    if (value + largestGumbel < best || i === first) continue
    const word = noise.word(position, i)
    // −ln E ≤ −ln u, as E ≥ u, and the leading zeros of the word bound u from below.
    if (value + (Math.clz32(word) + 1) * Math.LN2 + boundSlack < best) continue
    const key = value + gumbelOfWord(word)
    if (key > best || (key === best && i < token)) {
      best = key
      token = i
    }
  }
  return token
}

/**
 * Writes `exp(logit − largest)` of every token to `weights` and returns their sum.
 *
 * @param largest as `largestLogit` returned it
 */
export function fillWeights(weights: Float64Array, logits: Float64Array, largest: number): number {
  let total = 0
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i]!
    const weight = logit === -Infinity ? 0 : exp(logit - largest)
    weights[i] = weight
    total += weight
  }
  return total
}

/** Softmax, as a new array; throws as `largestLogit` does. */
export function softmax(logits: Float64Array): Float64Array {
  const probs = new Float64Array(logits.length)
  const total = fillWeights(probs, logits, largestLogit(logits))
  for (let i = 0; i < probs.length; i++) probs[i]! /= total
  return probs
}

/** Natural logarithm of the sum of `exp(logit)`; throws as `largestLogit` does. */
export function logSumExp(logits: Float64Array): number {
  const largest = largestLogit(logits)
  return largest + log(fillWeights(new Float64Array(logits.length), logits, largest))
}
