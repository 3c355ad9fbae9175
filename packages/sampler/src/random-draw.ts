import { InvalidArgumentError, type NoiseField, noiseStreams, type Token } from '@hass-engine/core'
import { NoTokenLeftError } from './errors.js'

/**
 * A uniform number in [0, 1) for the token at `position`: for whether `token` is accepted there, or, without a
 * token, for the draw of the bonus token. Each is asked for at most once, in the order of use.
 */
export type RandomDraw = (position: number, token?: Token) => number

// No token has this id: it would not fit a vocabulary of 2^32 - 1.
const bonusKey = 0xffffffff

/**
 * Draws of a noise field's rejection stream. It is not the stream of the target's choices: candidates that were
 * coupled with those would make a rule accept too often.
 */
export function noiseDraws(noise: NoiseField): RandomDraw {
  return (position, token = bonusKey) => noise.uniform(position, token, noiseStreams.rejection)
}

/** Asks for a number and refuses what is no probability: a bad generator must not turn into a biased text. */
export function draw(random: RandomDraw, position: number, token?: Token): number {
  const u = random(position, token)
  if (u >= 0 && u < 1) return u
  throw new InvalidArgumentError(`random() returned ${u} for position ${position}, expected a number in [0, 1).`, {
    found: u,
    position,
    token,
  })
}

/**
 * The token of a uniform number by the inverse of the cumulative distribution: the first id at which the sum of
 * probabilities passes `u`.
 *
 * @param probs `[vocabSize] float64`
 * @throws NoTokenLeftError `HASS_ERR_NO_TOKEN_LEFT` if all are zero
 */
export function tokenOfUniform(probs: Float64Array, u: number): Token {
  let sum = 0
  let last = -1
  for (let token = 0; token < probs.length; token++) {
    if (!(probs[token]! > 0)) continue
    sum += probs[token]!
    last = token
    if (sum > u) return token
  }
  // Rounding may leave the sum a little below 1; what is missing belongs to the last token.
  if (last === -1) throw new NoTokenLeftError('the removal of rejected tokens')
  return last
}
