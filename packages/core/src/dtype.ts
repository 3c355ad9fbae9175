import { InvalidArgumentError } from './errors.js'

/** Element types, in the spelling of safetensors. `F8_E4M3` is e4m3fn: no infinities, NaN at 0x7f and 0xff. */
export const dtypes = [
  'F64',
  'F32',
  'F16',
  'BF16',
  'F8_E4M3',
  'I64',
  'I32',
  'I16',
  'I8',
  'U64',
  'U32',
  'U16',
  'U8',
  'BOOL',
] as const
export type DType = (typeof dtypes)[number]

const sizes: Readonly<Record<DType, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  F8_E4M3: 1,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
}

/** Bytes of one element. */
export function dtypeSize(dtype: DType): number {
  return sizes[dtype]
}

const scratchFloat = new Float32Array(1)
const scratchBits = new Uint32Array(scratchFloat.buffer)

function floatBits(value: number): number {
  scratchFloat[0] = value
  return scratchBits[0]!
}

function bitsFloat(bits: number): number {
  scratchBits[0] = bits
  return scratchFloat[0]!
}

/** The float32 value of a bfloat16 code: its bits are the upper half of a float32's. */
export function bf16ToFloat(code: number): number {
  return bitsFloat(code << 16)
}

/** The bfloat16 code nearest to a float32 value, ties to even; every NaN becomes a quiet NaN. */
export function floatToBf16(value: number): number {
  const bits = floatBits(value)
  if (Number.isNaN(value)) return ((bits >>> 16) | 0x40) & 0xffff
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff
}

/** The float32 value of an IEEE 754 binary16 code. */
export function f16ToFloat(code: number): number {
  const magnitude = code & 0x7fff
  const sign = code & 0x8000 ? -1 : 1
  if (magnitude < 0x400) return sign * magnitude * 2 ** -24
  if (magnitude >= 0x7c00) return magnitude > 0x7c00 ? Number.NaN : sign * Infinity
  // The same exponent with another bias, the same mantissa at the top of a longer one.
  return bitsFloat(((code & 0x8000) << 16) | ((magnitude << 13) + ((127 - 15) << 23)))
}

/** The binary16 code nearest to a float32 value, ties to even; overflow becomes infinity, NaN stays NaN. */
export function floatToF16(value: number): number {
  const bits = floatBits(value)
  const sign = (bits >>> 16) & 0x8000
  const magnitude = Math.abs(bitsFloat(bits))
  if (Number.isNaN(magnitude)) return sign | 0x7e00
  if (magnitude >= 65520) return sign | 0x7c00
  if (magnitude < 2 ** -14) return sign | roundTiesToEven(magnitude * 2 ** 24)
  // A carry out of the mantissa moves into the exponent, as it should.
  const rebased = (floatBits(magnitude) - ((127 - 15) << 23)) >>> 0
  return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13)
}

function roundTiesToEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}

/** The float32 value of an fp8 e4m3fn code: 4 exponent bits of bias 7, 3 mantissa bits, largest value 448. */
export function fp8ToFloat(code: number): number {
  const sign = code & 0x80 ? -1 : 1
  const exponent = (code >>> 3) & 0xf
  const mantissa = code & 7
  if (exponent === 0xf && mantissa === 7) return Number.NaN
  return exponent === 0 ? sign * mantissa * 2 ** -9 : sign * (1 + mantissa / 8) * 2 ** (exponent - 7)
}

/** The e4m3fn code nearest to a value, ties to even; beyond ±448 it saturates, NaN becomes 0x7f. */
export function floatToFp8(value: number): number {
  if (Number.isNaN(value)) return 0x7f
  const sign = value < 0 || Object.is(value, -0) ? 0x80 : 0
  const magnitude = Math.min(Math.abs(value), 448)
  const exponent = Math.max(Math.floor(Math.log2(magnitude || 2 ** -9)), -6)
  const steps = roundTiesToEven(magnitude / 2 ** (exponent - 3))
  // Eight steps above the binade's start are the next binade's start: the addition carries into the exponent.
  return sign | (magnitude < 2 ** -6 ? steps : ((exponent + 7) << 3) + (steps - 8))
}

let f16Table: Float32Array | undefined
let fp8Table: Float32Array | undefined

/**
 * Widens elements of a floating dtype to float32.
 *
 * @param bytes little-endian elements, `[count] dtype`; any alignment
 * @returns `[count] float32`, a new array; F64 is rounded
 * @throws InvalidArgumentError for a dtype that is not floating, or a length that is no multiple of its size
 */
export function toFloat32(bytes: Uint8Array, dtype: DType): Float32Array {
  const size = dtypeSize(dtype)
  if (bytes.byteLength % size !== 0) {
    throw new InvalidArgumentError(
      `${bytes.byteLength} bytes are no whole number of ${dtype} elements of ${size} bytes.`,
      {
        bytes: bytes.byteLength,
        dtype,
      },
    )
  }
  const count = bytes.byteLength / size
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice()
  const { buffer, byteOffset } = aligned
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer, byteOffset, count).slice()
    case 'F64':
      return Float32Array.from(new Float64Array(buffer, byteOffset, count))
    case 'BF16': {
      const result = new Float32Array(count)
      const bits = new Uint32Array(result.buffer)
      const codes = new Uint16Array(buffer, byteOffset, count)
      for (let i = 0; i < count; i++) bits[i] = codes[i]! << 16
      return result
    }
    case 'F16': {
      f16Table ??= Float32Array.from({ length: 65536 }, (_, code) => f16ToFloat(code))
      const codes = new Uint16Array(buffer, byteOffset, count)
      const result = new Float32Array(count)
      for (let i = 0; i < count; i++) result[i] = f16Table[codes[i]!]!
      return result
    }
    case 'F8_E4M3': {
      fp8Table ??= Float32Array.from({ length: 256 }, (_, code) => fp8ToFloat(code))
      const result = new Float32Array(count)
      for (let i = 0; i < count; i++) result[i] = fp8Table[aligned[i]!]!
      return result
    }
    default:
      throw new InvalidArgumentError(`dtype ${dtype} is not floating: it cannot be widened to float32.`, { dtype })
  }
}
