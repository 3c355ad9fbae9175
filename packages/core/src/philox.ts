/** Four 32-bit words: a counter, or what became of it. */
type Words = Uint32Array | Int32Array

// The constants of Philox 4x32 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011).
const multiplier0 = 0xd2511f53
const multiplier1 = 0xcd9e8d57
const keyStep0 = 0x9e3779b9
const keyStep1 = 0xbb67ae85
const rounds = 10

/**
 * Philox 4×32-10: writes the four words of one counter under one key to `output`.
 *
 * @param output `[4]`; unsigned if it is a Uint32Array
 */
export function philox4x32(
  output: Words,
  counter0: number,
  counter1: number,
  counter2: number,
  counter3: number,
  key0: number,
  key1: number,
): void {
  let c0 = counter0 | 0
  let c1 = counter1 | 0
  let c2 = counter2 | 0
  let c3 = counter3 | 0
  let k0 = key0 | 0
  let k1 = key1 | 0
  for (let round = 0; round < rounds; round++) {
    const low0 = Math.imul(c0, multiplier0)
    const low1 = Math.imul(c2, multiplier1)
    const high0 = upperHalf(c0, multiplier0, low0)
    const high1 = upperHalf(c2, multiplier1, low1)
    c0 = high1 ^ c1 ^ k0
    c1 = low1
    c2 = high0 ^ c3 ^ k1
    c3 = low0
    k0 = (k0 + keyStep0) | 0
    k1 = (k1 + keyStep1) | 0
  }
  output[0] = c0
  output[1] = c1
  output[2] = c2
  output[3] = c3
}

/**
 * The upper 32 bits of a 64-bit product of which the lower ones are known.
 *
 * The float64 product is off by 2^10 at most, so taking the lower half away and dividing by 2^32 leaves the upper half
 * with an error below 2^-21, which rounding removes. Half the time of 16-bit partial products.
 */
function upperHalf(factor: number, multiplier: number, low: number): number {
  return (((factor >>> 0) * multiplier - (low >>> 0)) * 2 ** -32 + 0.5) | 0
}
