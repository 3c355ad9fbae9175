import type { Recording } from './simulation.js'

export interface SyntheticTextOptions {
  readonly seed: number
  readonly tokens: number
}

const candidatesPerRow = 10
const vocabSize = 32000
/** Ranks that a distribution has. */
const terms = 500

/**
 * A text and a draft head's candidates for it, made by a process that has what real heads have:
 *
 * * A row's candidates have probabilities ∝ (rank + 1)^-b. The exponent b = 2·exp(0.6 z), where z is a first-order
 *   autoregression along the text (coefficient 0.9, unit variance): easy and hard passages. What lies beyond
 *   ten candidates is in the normaliser: 500 ranks.
 * * The target's choice has rank r with probability ∝ (r + 1)^-b', b' = 0.9 b · 0.93^d for a row d drafted tokens
 *   deep: the head is overconfident, and more so the deeper it drafts on its own features.
 * * Behind a wrong token the candidates look the same (b of that position), and none is right.
 */
export function syntheticText({ seed, tokens }: SyntheticTextOptions): Recording {
  const text = Uint32Array.from({ length: tokens }, (_, t) => hash(seed, 1, t) % vocabSize)
  const exponents = new Float64Array(tokens)
  let z = gaussian(seed, 2, 0)
  for (let t = 0; t < tokens; t++) {
    z = 0.9 * z + Math.sqrt(1 - 0.9 ** 2) * gaussian(seed, 3, t)
    exponents[t] = 2 * Math.exp(0.6 * z)
  }
  const logProbs = Array.from(exponents, zipfLogProbs)
  return {
    text,
    start: 0,
    candidates(position, path) {
      const at = Math.min(position + path.length, tokens - 1)
      const isRight = path.every((token, i) => token === text[position + 1 + i])
      const key = path.reduce((sum, token) => hash(sum, token, 5), hash(seed, position, 4))
      const row = wrongTokens(key)
      const rank = isRight
        ? choiceRank(0.9 * exponents[at]! * 0.93 ** path.length, uniform(seed, 6, at))
        : candidatesPerRow
      if (rank < candidatesPerRow && at + 1 < tokens) row[rank] = text[at + 1]!
      return { tokens: row, logProbs: logProbs[at]! }
    },
  }
}

/** No tokens of the text: a coincidence would be no property of the head. */
function wrongTokens(key: number): number[] {
  const first = vocabSize + 16 * (key >>> 8)
  return Array.from({ length: candidatesPerRow }, (_, rank) => first + rank)
}

function zipfLogProbs(exponent: number): number[] {
  const logNormaliser = Math.log(zipfSum(exponent, terms))
  return Array.from({ length: candidatesPerRow }, (_, rank) => -exponent * Math.log(rank + 1) - logNormaliser)
}

function choiceRank(exponent: number, u: number): number {
  const wanted = u * zipfSum(exponent, terms)
  let rank = 0
  for (let sum = 1; sum < wanted && rank < candidatesPerRow; sum += (rank + 1) ** -exponent) rank++
  return rank
}

/** Σ rank^-exponent over so many ranks, the tail beyond a hundred by its integral. */
function zipfSum(exponent: number, ranks: number): number {
  let sum = 0
  for (let rank = 1; rank <= 100; rank++) sum += rank ** -exponent
  const power = 1 - exponent
  const tail = Math.abs(power) < 1e-9 ? Math.log(ranks / 100.5) : (ranks ** power - 100.5 ** power) / power
  return sum + tail
}

/** 32 mixed bits of three integers (the finaliser of MurmurHash3, applied in turn). */
function hash(a: number, b: number, c: number): number {
  return mix(mix(mix(a) ^ b) ^ c)
}

function mix(value: number): number {
  let h = (value + 0x9e3779b9) >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function uniform(a: number, b: number, c: number): number {
  return (hash(a, b, c) + 0.5) / 2 ** 32
}

function gaussian(a: number, b: number, c: number): number {
  return Math.sqrt(-2 * Math.log(uniform(a, b, 2 * c))) * Math.cos(2 * Math.PI * uniform(a, b, 2 * c + 1))
}
