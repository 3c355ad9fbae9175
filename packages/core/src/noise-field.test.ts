import { describe, expect, it } from 'vitest'
import { InvalidArgumentError } from './errors.js'
import { createNoiseField, gumbelOfWord, noiseStreams, randomSeed } from './noise-field.js'

describe('createNoiseField', () => {
  it('takes seeds of 64 bits, as number or bigint', () => {
    expect(createNoiseField(7).word(1, 2)).toBe(createNoiseField(7n).word(1, 2))
    expect(createNoiseField(2n ** 64n - 1n).seed).toBe(2n ** 64n - 1n)
    expect(createNoiseField(2n ** 32n).word(1, 2)).not.toBe(createNoiseField(0n).word(1, 2))
  })

  it.each([-1, 1.5, Number.NaN, 2 ** 53, -1n, 2n ** 64n])('refuses the seed %s', (seed) => {
    expect(() => createNoiseField(seed)).toThrow(InvalidArgumentError)
  })

  it('does not depend on what was asked before', () => {
    const noise = createNoiseField(3)
    const keys = Array.from({ length: 200 }, (_, i) => [i % 5, (i * 7) % 31, i % 4] as const)
    const forwards = keys.map((key) => noise.word(...key))
    const backwards = [...keys].reverse().map((key) => noise.word(...key))
    expect(backwards.reverse()).toEqual(forwards)
    expect(keys.map((key) => createNoiseField(3).word(...key))).toEqual(forwards)
  })

  it('defaults to the stream of choices, and streams differ', () => {
    const noise = createNoiseField(3)
    expect(noise.gumbel(4, 5)).toBe(noise.gumbel(4, 5, noiseStreams.choice))
    expect(new Set(Object.values(noiseStreams).map((stream) => noise.word(4, 5, stream))).size).toBe(4)
  })

  it('fills rows of any length with what single questions answer', () => {
    const noise = createNoiseField(11)
    for (const length of [0, 1, 4, 7, 64]) {
      const words = new Uint32Array(length)
      noise.fillWords(words, 6)
      expect([...words]).toEqual(Array.from(words, (_, token) => noise.word(6, token)))
      const floats = new Float64Array(length)
      noise.fillUniform(floats, 6, 2)
      expect([...floats]).toEqual(Array.from(floats, (_, token) => noise.uniform(6, token, 2)))
      noise.fillGumbel(floats, 6)
      expect([...floats]).toEqual(Array.from(floats, (_, token) => noise.gumbel(6, token)))
    }
  })

  it('has the moments of its distributions', () => {
    const noise = createNoiseField(1)
    const count = 100_000
    let uniform = 0
    let exponential = 0
    let gumbel = 0
    for (let token = 0; token < count; token++) {
      uniform += noise.uniform(0, token) / count
      exponential += noise.exponential(0, token) / count
      gumbel += noise.gumbel(0, token) / count
    }
    // Six standard errors.
    expect(Math.abs(uniform - 0.5)).toBeLessThan((6 * Math.sqrt(1 / 12)) / Math.sqrt(count))
    expect(Math.abs(exponential - 1)).toBeLessThan(6 / Math.sqrt(count))
    expect(Math.abs(gumbel - 0.5772156649)).toBeLessThan((6 * 1.2825) / Math.sqrt(count))
  })

  it('is finite at both ends, where a float32 uniform rounds to 1 (planted bug)', () => {
    expect(gumbelOfWord(0)).toBeCloseTo(33 * Math.LN2, 9)
    expect(gumbelOfWord(0xffffffff)).toBeCloseTo(-Math.log(33 * Math.LN2), 9)
    const rounded = Math.fround((0xffffffff + 0.5) * 2 ** -32)
    expect(-Math.log(-Math.log1p(-rounded))).toBe(-Infinity)
    expect(-Math.log(-Math.log(rounded))).toBe(Infinity)
  })
})

it('randomSeed gives seeds that nobody had before', () => {
  const seeds = new Set(Array.from({ length: 100 }, randomSeed))
  expect(seeds.size).toBe(100)
  for (const seed of seeds) expect(createNoiseField(seed).seed).toBe(seed)
})
