import { describe, expect, it } from 'vitest'
import { listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { createNoiseField } from './noise-field.js'
import { philox4x32 } from './philox.js'

interface NoiseCase {
  seed: number
  position: number
  token: number
  stream: number
  word: number
  uniform: number
  exponential: number
  gumbel: number
}

// Two correctly written logarithms differ by an ulp or two; near ln 1 = 0 that is an absolute distance.
const tolerance = (value: number) => 1e-15 + 1e-15 * Math.abs(value)

const files = listGolden('noise')

describe.skipIf(files.length === 0)('golden noise', () => {
  const { known_answers: knownAnswers, cases } = readGoldenJson('noise', 'noise.json') as {
    known_answers: { counter: number[]; key: number[]; output: number[] }[]
    cases: NoiseCase[]
  }

  it('gives the published words of Philox 4x32-10', () => {
    expect(knownAnswers.length).toBeGreaterThan(0)
    for (const { counter, key, output } of knownAnswers) {
      const words = new Uint32Array(4)
      philox4x32(words, counter[0]!, counter[1]!, counter[2]!, counter[3]!, key[0]!, key[1]!)
      expect([...words]).toEqual(output)
    }
  })

  it('gives the recorded words and uniforms exactly, the logarithms to 1e-15', () => {
    expect(cases.length).toBeGreaterThan(0)
    for (const { seed, position, token, stream, ...expected } of cases) {
      const noise = createNoiseField(seed)
      expect(noise.word(position, token, stream)).toBe(expected.word)
      expect(noise.uniform(position, token, stream)).toBe(expected.uniform)
      const exponential = noise.exponential(position, token, stream)
      expect(Math.abs(exponential - expected.exponential)).toBeLessThan(tolerance(expected.exponential))
      const gumbel = noise.gumbel(position, token, stream)
      expect(Math.abs(gumbel - expected.gumbel)).toBeLessThan(tolerance(expected.gumbel))
    }
  })
})
