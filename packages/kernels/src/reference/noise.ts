import { UnsupportedError } from '../errors.js'

/** Standard Gumbel noise of stream 0 of one seed, float64: a pure function of position and token. */
export type GumbelNoise = (position: number, token: number) => number

/** The seam to the noise field; see README, "Not connected yet". */
export function createGumbelNoise(_seed: bigint): GumbelNoise {
  throw new UnsupportedError('The noise field is not connected to the reference backend yet.')
}
