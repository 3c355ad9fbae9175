/**
 * Natural logarithm and exponential with the same bits on every machine.
 *
 * `Math.log` and `Math.exp` may differ in the last bit between engines, and one bit decides a near tie between two
 * tokens. These two use nothing but float64 +, −, × and ÷, each rounded once and in the order written here, so a C++
 * kernel repeats them exactly when it is compiled without contraction (`-ffp-contract=off`).
 */

// ln 2 in two parts. The upper one has 32 significant bits, so its product with an exponent is exact.
const ln2High = 0.6931471803691238
const ln2Low = 1.9082149292705877e-10
const log2E = 1.4426950408889634

const scratch = new Float64Array(1)
const scratchWords = new Uint32Array(scratch.buffer)
/* v8 ignore next -- the other branch needs a big-endian machine */
const upperWord = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1 ? 1 : 0

// Upper word of sqrt(1/2): mantissas are brought to [sqrt(1/2), sqrt(2)), where the series converges fastest.
const upperWordOfSqrtHalf = 0x3fe6a09e

/**
 * Natural logarithm, within 1 ulp.
 *
 * With x = 2^k (1 + f) and s = f / (2 + f): ln(1 + f) = 2 artanh(s) = f − s (f − R), where
 * R = 2 (s²/3 + s⁴/5 + …) is the Taylor series of artanh, cut where it falls below half an ulp.
 */
export function log(x: number): number {
  if (!(x > 0 && x < Infinity)) return x === 0 ? -Infinity : x === Infinity ? x : Number.NaN
  const isSubnormal = x < 2.2250738585072014e-308
  scratch[0] = isSubnormal ? x * 18014398509481984 : x
  const shifted = scratchWords[upperWord]! + (0x3ff00000 - upperWordOfSqrtHalf)
  const exponent = (shifted >>> 20) - 1023
  scratchWords[upperWord] = (shifted & 0xfffff) + upperWordOfSqrtHalf
  const f = scratch[0]! - 1
  const s = f / (2 + f)
  const z = s * s
  const z2 = z * z
  const z4 = z2 * z2
  const rest =
    z *
    (2 / 3 +
      z * (2 / 5) +
      z2 * (2 / 7 + z * (2 / 9)) +
      z4 * (2 / 11 + z * (2 / 13) + z2 * (2 / 15 + z * (2 / 17)) + z4 * (2 / 19 + z * (2 / 21))))
  const k = isSubnormal ? exponent - 54 : exponent
  return k * ln2High + (f - (s * (f - rest) - k * ln2Low))
}

// Powers of two by doubling and halving, which is exact; half of the exponent range, since `exp` scales in two steps.
const largestHalfExponent = 540
const powersOfTwo = (() => {
  const table = new Float64Array(2 * largestHalfExponent + 1)
  table[largestHalfExponent] = 1
  for (let i = 1; i <= largestHalfExponent; i++) {
    table[largestHalfExponent + i] = table[largestHalfExponent + i - 1]! * 2
    table[largestHalfExponent - i] = table[largestHalfExponent - i + 1]! / 2
  }
  return table
})()

/**
 * Exponential, within 1 ulp for normal results.
 *
 * With x = k ln 2 + r and |r| ≤ ln 2 / 2: eˣ = 2^k eʳ, where eʳ is its Taylor polynomial of degree 13. The power is
 * applied in two factors, so that overflow and gradual underflow come out as IEEE rounding makes them.
 */
export function exp(x: number): number {
  if (!(x > -746 && x < 710)) return x <= -746 ? 0 : x >= 710 ? Infinity : Number.NaN
  const k = Math.floor(x * log2E + 0.5)
  const high = x - k * ln2High
  const low = k * ln2Low
  const r = high - low
  // Estrin's order rather than Horner's: the halves do not wait for each other, which makes it twice as fast.
  const r2 = r * r
  const r4 = r2 * r2
  const polynomial =
    1 / 2 +
    r * (1 / 6) +
    r2 * (1 / 24 + r * (1 / 120)) +
    r4 * (1 / 720 + r * (1 / 5040) + r2 * (1 / 40320 + r * (1 / 362880))) +
    r4 * r4 * (1 / 3628800 + r * (1 / 39916800) + r2 * (1 / 479001600 + r * (1 / 6227020800)))
  // What rounding r lost is added back: it would be worth half an ulp of the result.
  const lost = high - r - low
  const mantissa = 1 + (r + (r2 * polynomial + lost))
  const half = k >> 1
  return mantissa * powersOfTwo[half + largestHalfExponent]! * powersOfTwo[k - half + largestHalfExponent]!
}
