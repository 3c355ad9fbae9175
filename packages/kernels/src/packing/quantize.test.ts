import { describe, expect, it } from 'vitest'
import { decodeBlocks } from './formats.js'
import { encodeQ8 } from './quantize.js'

/** Blocks of what weights are, and of what nobody vouches for. */
const blocks: readonly (readonly [name: string, element: (i: number) => number])[] = [
  ['ordinary', (i) => Math.sin(37 * i) * 3],
  ['one sign', (i) => -1 - i / 7],
  ['zeros', () => 0],
  ['tiny', (i) => i * 1e-9],
  ['beyond float16', (i) => (i - 16) * 1e6],
  ['beyond its scale', (i) => (i - 16) * 1e37],
  ['an infinity', (i) => (i === 3 ? -Infinity : i)],
  ['a NaN', (i) => (i === 31 ? Number.NaN : i)],
  ['NaN alone', () => Number.NaN],
]

describe('encodeQ8', () => {
  it.each(blocks)('tells how far off it is: %s', (_, element) => {
    const values = Float32Array.from({ length: 64 }, (__, i) => (i < 32 ? element(i) : 0.5 * Math.cos(i)))
    const { encoded, error } = encodeQ8(values)
    const decoded = decodeBlocks(encoded.format, encoded.bytes)
    const differences = values.map((value, i) => {
      const [before, after] = [value, decoded[i]!]
      return Object.is(before, after) ? 0 : Math.abs(before - after)
    })
    expect(error).toBe(differences.some(Number.isNaN) ? Infinity : Math.max(...differences))
  })
})

describe('decodeBlocks', () => {
  it('widens every float16', () => {
    const codes = Uint16Array.from({ length: 2 ** 16 }, (_, code) => code)
    const found = decodeBlocks('F16', new Uint8Array(codes.buffer))
    for (const [code, value] of found.entries()) {
      const [exponent, fraction] = [(code >> 10) & 31, code & 1023]
      const magnitude =
        exponent === 31
          ? fraction === 0
            ? Infinity
            : Number.NaN
          : exponent === 0
            ? fraction * 2 ** -24
            : (1 + fraction / 1024) * 2 ** (exponent - 15)
      const expected = code & 0x8000 ? -magnitude : magnitude
      if (!Object.is(value, expected) && !Number.isNaN(expected)) throw new Error(`${code}: ${value}, not ${expected}`)
      if (Number.isNaN(expected)) expect(value).toBeNaN()
    }
  })
})
