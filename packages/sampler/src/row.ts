import type { Token } from '@hass-engine/core'
import { exp, gumbelOfWord, log, type NoiseField } from '@hass-engine/core'
import { BadLogitsError, NoTokenLeftError } from './errors.js'

/**
 * Copies the model's logits to a row that processors may change.
 *
 * @param logits `[vocabSize] float64`
 * @param row `[vocabSize] float32`
 * @throws BadLogitsError `HASS_ERR_BAD_LOGITS` for a NaN
 */
export function loadRow(logits: Float64Array, row: Float32Array): Float64Array {
  logits.set(row)
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
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i]!
    // One comparison for both: a NaN is not "at most" anything.
    if (logit <= best) continue
    if (Number.isNaN(logit)) throw new BadLogitsError(i, source)
    best = logit
    token = i
  }
  if (token === -1) throw new NoTokenLeftError(source)
  return token
}

// No noise of the field is larger: it belongs to the word 0, u = 2⁻³³, and is 22.87.
const largestGumbel = 22.875
// More than rounding can add to the bounds below, whose terms are small next to 1 / slack.
const slack = 1e-9

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
  let floor = losingLogit(best, temperature)
  for (let i = 0; i < logits.length; i++) {
    const logit = logits[i]!
    if (logit < floor || i === first) continue
    const value = logit / temperature
    const word = noise.word(position, i)
    // −ln E ≤ −ln u, as E ≥ u, and the leading zeros of the word bound u from below.
    if (value + (Math.clz32(word) + 1) * Math.LN2 + slack < best) continue
    const key = value + gumbelOfWord(word)
    if (key > best || (key === best && i < token)) {
      best = key
      token = i
      floor = losingLogit(best, temperature)
    }
  }
  return token
}

/** A logit below which no noise of the field can make a token win. */
function losingLogit(best: number, temperature: number): number {
  const bound = (best - largestGumbel) * temperature
  return bound - Math.abs(bound) * slack - slack * temperature
}

/**
 * Writes `exp(logit − largest)` of every token to `weights`, which may be the logits, and returns their sum.
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

/** Softmax in place; throws as `largestLogit` does. */
export function softmax(logits: Float64Array): Float64Array {
  const total = fillWeights(logits, logits, largestLogit(logits))
  for (let i = 0; i < logits.length; i++) logits[i]! /= total
  return logits
}

/** Natural logarithm of the sum of `exp(logit)`; throws as `largestLogit` does. */
export function logSumExp(logits: Float64Array): number {
  const largest = largestLogit(logits)
  return largest + log(fillWeights(new Float64Array(logits.length), logits, largest))
}
