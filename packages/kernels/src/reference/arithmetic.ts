/**
 * Rounding and functions of one precision. The float32 ones follow native/NUMERICS.md to the bit; every product, sum
 * and quotient that a reference kernel keeps in a variable goes through `round`, what it stores is rounded by storing.
 */
export interface Arithmetic {
  readonly round: (value: number) => number
  readonly exp: (x: number) => number
  readonly log: (x: number) => number
}

const floats = new Float32Array(1)
const words = new Int32Array(floats.buffer)
const fround = Math.fround

function fromBits(bits: number): number {
  words[0] = bits
  return floats[0]!
}

const [L, HI, LO] = [0x3fb8aa3b, 0x3f318000, 0xb95e8083].map(fromBits) as [number, number, number]
const [C2, C3, C4, C5, C6] = [0x3efffffe, 0x3e2aaa49, 0x3d2aac79, 0x3c091d10, 0x3ab511e5].map(fromBits) as [
  number,
  number,
  number,
  number,
  number,
]
const [K0, K1, K2, K3, K4, K5, K6, K7] = [
  0x3eaaaaaa, 0xbe800114, 0x3e4cd004, 0xbe2a3922, 0x3e116d11, 0xbe06c2a9, 0x3e02ada3, 0xbd9c5a66,
].map(fromBits) as [number, number, number, number, number, number, number, number]

/** Adding and taking away 1.5 · 2^23 leaves no fraction: the sum is rounded to nearest, ties to even. */
const integerShift = 1.5 * 2 ** 23

/** To the nearest integer, ties to even, for |x| < 2^22. */
export function roundToInteger(x: number): number {
  return fround(fround(x + integerShift) - integerShift)
}

function exp32(x: number): number {
  if (Number.isNaN(x)) return Number.NaN
  if (x > 88.375) return Infinity
  if (x < -87.3125) return 0
  const n = roundToInteger(fround(x * L))
  const r = fround(fround(x - fround(n * HI)) - fround(n * LO))
  let q = fround(fround(C6 * r) + C5)
  q = fround(fround(q * r) + C4)
  q = fround(fround(q * r) + C3)
  q = fround(fround(q * r) + C2)
  const mantissa = fround(fround(fround(fround(r * r) * q) + r) + 1)
  return fround(mantissa * fromBits((n + 127) << 23))
}

function log32(x: number): number {
  if (Number.isNaN(x) || x === Infinity) return x
  floats[0] = x
  const bits = words[0]!
  const e = (bits - 0x3f3504f3) >> 23
  const f = fround(fromBits(bits - (e << 23)) - 1)
  const z = fround(f * f)
  let q = fround(fround(K7 * f) + K6)
  q = fround(fround(q * f) + K5)
  q = fround(fround(q * f) + K4)
  q = fround(fround(q * f) + K3)
  q = fround(fround(q * f) + K2)
  q = fround(fround(q * f) + K1)
  q = fround(fround(q * f) + K0)
  const high = fround(fround(fround(z * f) * q) + fround(e * LO))
  return fround(fround(fround(high - fround(0.5 * z)) + f) + fround(e * HI))
}

export const float32: Arithmetic = { round: fround, exp: exp32, log: log32 }

/** For differentiation tests: float64 throughout, so that finite differences have digits left. */
export const float64: Arithmetic = { round: (value) => value, exp: Math.exp, log: Math.log }

/** `x / (1 + exp(-x))`. */
export function silu(x: number, { round, exp }: Arithmetic): number {
  return round(x / round(1 + exp(-x)))
}

/** The eight accumulators of a lane order sum, combined. */
export function sumLanes(lanes: Float32Array | Float64Array, round: (value: number) => number): number {
  const left = round(round(lanes[0]! + lanes[4]!) + round(lanes[2]! + lanes[6]!))
  const right = round(round(lanes[1]! + lanes[5]!) + round(lanes[3]! + lanes[7]!))
  return round(left + right)
}

/** The lane order sum of the products of two ranges of `count` elements. */
export function dotLanes(
  a: Float32Array,
  atA: number,
  b: Float32Array,
  atB: number,
  count: number,
  lanes: Float32Array | Float64Array,
  round: (value: number) => number,
): number {
  lanes.fill(0)
  for (let i = 0; i < count; i++) {
    const lane = i & 7
    lanes[lane] = lanes[lane]! + round(a[atA + i]! * b[atB + i]!)
  }
  return sumLanes(lanes, round)
}

/** Accumulators of a precision. */
export function createLanes(arithmetic: Arithmetic): Float32Array | Float64Array {
  return arithmetic === float64 ? new Float64Array(8) : new Float32Array(8)
}

/** Scratch floats of a precision; typed as float32 like all operands. */
export function createScratch(arithmetic: Arithmetic, length: number): Float32Array {
  return arithmetic === float64 ? (new Float64Array(length) as unknown as Float32Array) : new Float32Array(length)
}
