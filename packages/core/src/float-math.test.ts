import { describe, expect, it } from 'vitest'
import { exp, log } from './float-math.js'
import { createNoiseField } from './noise-field.js'

const noise = createNoiseField(5)
const samples = 200_000

/** Units in the last place between a value and what the engine's own function says. */
function ulps(value: number, expected: number): number {
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(expected))), -1022)
  return Math.abs(value - expected) / 2 ** (exponent - 52)
}

function worst(count: number, at: (i: number) => number): number {
  let largest = 0
  for (let i = 0; i < count; i++) largest = Math.max(largest, at(i))
  return largest
}

/** A number that changes with any bit of any result. */
function fingerprint(values: Float64Array): string {
  let hash = 0x811c9dc5
  for (const byte of new Uint8Array(values.buffer)) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0).toString(16)
}

// The engine's own functions may be an ulp off themselves, hence 2.
describe('log', () => {
  it('agrees with Math.log over the whole range and around 1', () => {
    const wide = worst(samples, (i) => {
      const x = Math.exp((noise.uniform(0, i) - 0.5) * 1400)
      return ulps(log(x), Math.log(x))
    })
    const near = worst(samples, (i) => {
      const x = 2 * noise.uniform(1, i)
      return ulps(log(x), Math.log(x))
    })
    expect(wide).toBeLessThanOrEqual(2)
    expect(near).toBeLessThanOrEqual(2)
  })

  it('is accurate one step from 1 and for the smallest numbers', () => {
    expect(log(1)).toBe(0)
    expect(log(1 + 2 ** -52)).toBe(2 ** -52 - 2 ** -105)
    expect(log(1 - 2 ** -53)).toBe(-(2 ** -53) - 2 ** -107)
    expect(log(5e-324)).toBeCloseTo(-744.4400719213812, 12)
    expect(log(2 ** -1022)).toBeCloseTo(-708.3964185322641, 12)
  })

  it('treats special values as Math.log does', () => {
    for (const x of [0, -0, -1, Infinity, -Infinity, Number.NaN]) expect(log(x)).toBe(Math.log(x))
  })
})

describe('exp', () => {
  it('agrees with Math.exp over the whole range', () => {
    const far = worst(samples, (i) => {
      const x = (noise.uniform(2, i) - 0.5) * 1410
      return ulps(exp(x), Math.exp(x))
    })
    const near = worst(samples, (i) => {
      const x = noise.uniform(3, i) * 40 - 38
      return ulps(exp(x), Math.exp(x))
    })
    expect(far).toBeLessThanOrEqual(2)
    expect(near).toBeLessThanOrEqual(2)
  })

  it('overflows, underflows and keeps special values', () => {
    expect(exp(0)).toBe(1)
    expect(exp(709.7)).toBeCloseTo(Math.exp(709.7), -294)
    for (const x of [710, 1e308, -746, -1e308, Infinity, -Infinity, Number.NaN]) expect(exp(x)).toBe(Math.exp(x))
  })
})

// Recorded on x86-64. A machine or a kernel that gives other bits gives other texts for the same seed.
it('has the same bits everywhere', () => {
  const logs = Float64Array.from({ length: 20_000 }, (_, i) =>
    log(i % 2 ? noise.uniform(4, i) * i : noise.uniform(4, i) / (i + 1)),
  )
  const exps = Float64Array.from({ length: 20_000 }, (_, i) => exp((noise.uniform(5, i) - 0.5) * (i % 1400)))
  expect([fingerprint(logs), fingerprint(exps)]).toEqual(['96107370', '47547b92'])
})
