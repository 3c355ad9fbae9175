import { InvalidArgumentError } from './errors.js'
import { log } from './float-math.js'
import { checkNumber } from './options.js'
import { philox4x32 } from './philox.js'
import type { Token } from './token.js'

/** What a number of the noise field is for. Streams are independent of each other. */
export const noiseStreams = { choice: 0, rejection: 1, training: 2, shuffling: 3 } as const

/**
 * Randomness as a pure function of (seed, position, token, stream): nothing is consumed, so it cannot matter which
 * numbers are asked for, how often, or in what order.
 *
 * `position` is the absolute index of the token being chosen; positions, tokens and streams are unsigned 32-bit
 * integers. `stream` defaults to 0, the target's choice.
 */
export interface NoiseField {
  /** The 64-bit key. */
  readonly seed: bigint
  /** 32 random bits. */
  word(position: number, token: Token, stream?: number): number
  /** Uniform in (0, 1), `(word + ½)·2⁻³²`; never 0 or 1. */
  uniform(position: number, token: Token, stream?: number): number
  /** Exponential of rate 1, `−ln(1 − uniform)`; between 2⁻³³ and 22.9. */
  exponential(position: number, token: Token, stream?: number): number
  /** Standard Gumbel, `−ln(exponential)`; between −3.2 and 22.9. */
  gumbel(position: number, token: Token, stream?: number): number
  /** Writes the words of tokens 0, 1, 2, … of one position; four tokens cost one Philox block. */
  fillWords(output: Uint32Array, position: number, stream?: number): void
  /** Writes the uniforms of tokens 0, 1, 2, … of one position. */
  fillUniform(output: Float64Array, position: number, stream?: number): void
  /** Writes the Gumbel noise of tokens 0, 1, 2, … of one position. */
  fillGumbel(output: Float64Array, position: number, stream?: number): void
}

/**
 * The noise field of a seed: Philox 4×32-10 with key = seed and counter = (token >> 2, position, stream, 0), of whose
 * output word `token & 3` belongs to the token. The floats have the same bits on every machine.
 *
 * @param seed an integer from 0 to 2^64 − 1; a number must be a safe integer
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT` for any other seed
 */
export function createNoiseField(seed: number | bigint): NoiseField {
  const key = checkSeed(seed)
  const key0 = Number(key & 0xffffffffn)
  const key1 = Number(key >> 32n)
  // The last block is kept, so that tokens asked for in ascending order share blocks as they should.
  const block = new Uint32Array(4)
  let blockToken = -1
  let blockPosition = -1
  let blockStream = -1

  const word = (position: number, token: Token, stream: number = noiseStreams.choice) => {
    const counter = token >>> 2
    if (counter !== blockToken || position !== blockPosition || stream !== blockStream) {
      philox4x32(block, counter, position, stream, 0, key0, key1)
      blockToken = counter
      blockPosition = position
      blockStream = stream
    }
    return block[token & 3]!
  }
  const fillWords = (output: Uint32Array | Float64Array, position: number, stream: number) => {
    for (let token = 0; token < output.length; token++) output[token] = word(position, token, stream)
  }
  const fillWith = (toFloat: (word: number) => number) => {
    return (output: Float64Array, position: number, stream: number = noiseStreams.choice) => {
      fillWords(output, position, stream)
      for (let i = 0; i < output.length; i++) output[i] = toFloat(output[i]!)
    }
  }
  return {
    seed: key,
    word,
    uniform: (position, token, stream) => uniformOfWord(word(position, token, stream)),
    exponential: (position, token, stream) => exponentialOfWord(word(position, token, stream)),
    gumbel: (position, token, stream) => gumbelOfWord(word(position, token, stream)),
    fillWords: (output, position, stream = noiseStreams.choice) => fillWords(output, position, stream),
    fillUniform: fillWith(uniformOfWord),
    fillGumbel: fillWith(gumbelOfWord),
  }
}

/** A seed that nobody chose, from the system's entropy. */
export function randomSeed(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0]!
}

function checkSeed(seed: number | bigint): bigint {
  if (typeof seed !== 'bigint') {
    return BigInt(checkNumber(seed, 'seed', { min: 0, max: Number.MAX_SAFE_INTEGER, isInteger: true }))
  }
  if (seed >= 0n && seed < 1n << 64n) return seed
  throw new InvalidArgumentError(`seed is ${seed}n, expected 0 to 2^64 - 1.`, { seed })
}

function uniformOfWord(word: number): number {
  return (word + 0.5) * 2 ** -32
}

// 1 − u is exact: u has 33 bits behind the point. So this is −log1p(−u) to the last bit, without a log1p.
function exponentialOfWord(word: number): number {
  return -log(1 - uniformOfWord(word))
}

export function gumbelOfWord(word: number): number {
  return -log(exponentialOfWord(word))
}
