import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readGoldenTensors } from '../../../test/support/golden.js'
import {
  bf16ToFloat,
  dtypeSize,
  dtypes,
  f16ToFloat,
  floatToBf16,
  floatToF16,
  floatToFp8,
  fp8ToFloat,
  toFloat32,
} from './index.js'

/** Every code of a 16- or 8-bit format must survive the way to float and back; NaNs as some NaN. */
function expectRoundTrip(codes: number, widen: (code: number) => number, narrow: (value: number) => number) {
  for (let code = 0; code < codes; code++) {
    const value = widen(code)
    if (Number.isNaN(value)) expect(widen(narrow(value))).toBeNaN()
    else if (narrow(value) !== code) expect.fail(`code ${code} came back as ${narrow(value)}`)
  }
}

/** The narrowed value must be one of the two neighbours, the nearer one, the even one in the middle. */
function expectNearest(value: number, max: number, widen: (code: number) => number, narrow: (value: number) => number) {
  const single = Math.fround(value)
  if (Math.abs(single) > max) return
  const code = narrow(single)
  const error = Math.abs(widen(code) - single)
  for (const neighbour of [code - 1, code + 1]) {
    const other = widen(neighbour & 0xffff)
    if (!Number.isFinite(other) || Math.sign(other) * Math.sign(single) < 0) continue
    const otherError = Math.abs(other - single)
    expect(error < otherError || (error === otherError && code % 2 === 0) || other === widen(code)).toBe(true)
  }
}

describe('narrow floats', () => {
  it('come back from float32 as the codes they were', () => {
    expectRoundTrip(65536, f16ToFloat, floatToF16)
    expectRoundTrip(65536, bf16ToFloat, floatToBf16)
    expectRoundTrip(256, fp8ToFloat, floatToFp8)
  })

  it('are rounded to the nearest code, ties to even', () => {
    const magnitudes = fc.oneof(
      fc.float({ noNaN: true }),
      fc.double({ min: -500, max: 500, noNaN: true }),
      fc.double({ min: -1e-4, max: 1e-4, noNaN: true }),
    )
    fc.assert(fc.property(magnitudes, (value) => expectNearest(value, 65504, f16ToFloat, floatToF16)))
    fc.assert(fc.property(magnitudes, (value) => expectNearest(value, 3e38, bf16ToFloat, floatToBf16)))
    fc.assert(fc.property(magnitudes, (value) => expectNearest(value, 448, fp8ToFloat, floatToFp8)))
  })

  it('overflow as their formats do', () => {
    expect(floatToF16(65519.99)).toBe(0x7bff)
    expect(floatToF16(65520)).toBe(0x7c00)
    expect(floatToF16(-Infinity)).toBe(0xfc00)
    expect(bf16ToFloat(floatToBf16(3.4e38))).toBe(Infinity)
    expect(fp8ToFloat(floatToFp8(1e9))).toBe(448)
    expect(fp8ToFloat(floatToFp8(-Infinity))).toBe(-448)
    expect(Object.is(f16ToFloat(floatToF16(-0)), -0)).toBe(true)
  })

  it('agree with the golden table of e4m3 codes', () => {
    const golden = readGoldenTensors('fp8', 'linear_fp8_expected.safetensors')
    const values = golden.get('e4m3fn_table')!.data as Float32Array
    const isNan = golden.get('e4m3fn_is_nan')!.data as Uint8Array
    expect(values.length).toBe(256)
    for (let code = 0; code < 256; code++) {
      if (isNan[code]) expect(fp8ToFloat(code)).toBeNaN()
      else expect(fp8ToFloat(code)).toBe(values[code])
    }
  })
})

describe('toFloat32', () => {
  it('widens every floating dtype from any alignment', () => {
    const values = [0, -1.5, 0.25, 448, -2]
    const encoders = {
      F64: () => new Uint8Array(Float64Array.from(values).buffer),
      F32: () => new Uint8Array(Float32Array.from(values).buffer),
      F16: () => new Uint8Array(Uint16Array.from(values, floatToF16).buffer),
      BF16: () => new Uint8Array(Uint16Array.from(values, floatToBf16).buffer),
      F8_E4M3: () => Uint8Array.from(values, floatToFp8),
    } as const
    for (const [dtype, encode] of Object.entries(encoders)) {
      const bytes = encode()
      const shifted = new Uint8Array(bytes.length + 1)
      shifted.set(bytes, 1)
      for (const view of [bytes, shifted.subarray(1)]) {
        expect([...toFloat32(view, dtype as keyof typeof encoders)]).toEqual(values)
      }
    }
  })

  it('returns an array of its own', () => {
    const bytes = new Uint8Array(4)
    toFloat32(bytes, 'F32')[0] = 1
    expect([...bytes]).toEqual([0, 0, 0, 0])
  })

  it('refuses integers and broken lengths', () => {
    expect(() => toFloat32(new Uint8Array(8), 'I64')).toThrow(/I64 is not floating/)
    expect(() => toFloat32(new Uint8Array(3), 'F16')).toThrow(/3 bytes are no whole number of F16/)
  })

  it('knows the size of every dtype', () => {
    for (const dtype of dtypes) expect([1, 2, 4, 8]).toContain(dtypeSize(dtype))
  })
})
