/** Four 32-bit words: a counter, or what became of it. */
export type Words = Uint32Array | Int32Array

// The constants of Philox 4x32 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011).
const multiplier0 = 0xd2511f53
const multiplier1 = 0xcd9e8d57
const keyStep0 = 0x9e3779b9
const keyStep1 = 0xbb67ae85
const rounds = 10

const lower0 = multiplier0 & 0xffff
const upper0 = multiplier0 >>> 16
const lower1 = multiplier1 & 0xffff
const upper1 = multiplier1 >>> 16

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
    // Upper halves of the two 64-bit products, from 16-bit parts: every partial sum fits 32 unsigned bits.
    let a = c0 & 0xffff
    let b = c0 >>> 16
    let middle = (Math.imul(b, lower0) + (Math.imul(a, lower0) >>> 16)) >>> 0
    let carry = (Math.imul(a, upper0) + (middle & 0xffff)) >>> 0
    const high0 = (Math.imul(b, upper0) + (middle >>> 16) + (carry >>> 16)) | 0
    a = c2 & 0xffff
    b = c2 >>> 16
    middle = (Math.imul(b, lower1) + (Math.imul(a, lower1) >>> 16)) >>> 0
    carry = (Math.imul(a, upper1) + (middle & 0xffff)) >>> 0
    const high1 = (Math.imul(b, upper1) + (middle >>> 16) + (carry >>> 16)) | 0
    const low0 = Math.imul(c0, multiplier0)
    const low1 = Math.imul(c2, multiplier1)
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
