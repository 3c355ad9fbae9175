import { InvalidArgumentError } from '@hass-engine/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  BadLogitsError,
  createLogitsRows,
  createNoiseField,
  createSampler,
  createTargetChooser,
  NoTokenLeftError,
} from './index.js'

const row = (...logits: number[]) => Float32Array.from(logits)
const inf = Infinity

describe('choose', () => {
  it('takes the lowest id of the largest logits at temperature 0', () => {
    expect(createSampler().choose(row(1, 3, 3, 2), [])).toBe(1)
    expect(createSampler({ temperature: 0, topK: 1 }).choose(row(1, 3, 3), [])).toBe(1)
    expect([...createSampler().probs(row(1, 3, 3), [])]).toEqual([0, 1, 0])
  })

  it('gives the same token for the same seed and position, whatever the path is made of', () => {
    const sampler = createSampler({ temperature: 1, seed: 9 })
    const logits = row(...Array.from({ length: 50 }, (_, i) => i % 3))
    const tokens = Array.from({ length: 40 }, (_, position) => sampler.choose(logits, { length: position }))
    for (let i = 0; i < 40; i++)
      expect(sampler.choose(logits, { length: i - (i % 4) }, Array(i % 4).fill(0))).toBe(tokens[i])
    expect(new Set(tokens).size).toBeGreaterThan(5)
  })

  it('takes a fresh seed where none is given, and says which', () => {
    const sampler = createSampler({ temperature: 1 })
    expect(sampler.rule.seed).toBe(sampler.noise.seed)
    expect(createSampler({ temperature: 1 }).rule.seed).not.toBe(sampler.rule.seed)
  })

  it('tells devices and draft models its rule', () => {
    const sampler = createSampler({ temperature: 0.5, topK: 4, topP: 0.9, minP: 0.1, seed: 3n })
    expect(sampler.rule).toEqual({ temperature: 0.5, topK: 4, topP: 0.9, minP: 0.1, seed: 3n })
    expect(sampler.isPlain).toBe(false)
    expect(createSampler({ temperature: 0.5, seed: 3 }).isPlain).toBe(true)
    expect(createSampler({ temperature: 0, topK: 4 }).isPlain).toBe(true)
    expect(createSampler({ repetitionPenalty: 1.1 }).isPlain).toBe(false)
  })
})

describe('bad logits', () => {
  const samplers = [
    createSampler(),
    createSampler({ temperature: 1, seed: 1 }),
    createSampler({ temperature: 1, topK: 2, topP: 0.5, minP: 0.1, typicalP: 0.5, seed: 1 }),
  ]

  it('NaN is an error that names the token', () => {
    for (const sampler of samplers) {
      for (const bad of [row(Number.NaN, 1, 2), row(1, 2, Number.NaN), row(-inf, Number.NaN, inf)]) {
        expect(() => sampler.choose(bad, [])).toThrow(BadLogitsError)
        expect(() => sampler.probs(bad, [])).toThrow(BadLogitsError)
      }
    }
    try {
      createSampler().choose(row(1, Number.NaN), [])
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'HASS_ERR_BAD_LOGITS', details: { token: 1, source: 'the forward pass' } })
    }
  })

  it('so is a row without any token', () => {
    for (const sampler of samplers) {
      expect(() => sampler.choose(row(-inf, -inf), [])).toThrow(NoTokenLeftError)
      expect(() => sampler.choose(row(), [])).toThrow(NoTokenLeftError)
    }
    expect(() => createSampler({ bannedTokens: [0, 1] }).choose(row(1, 2), [])).toThrow(NoTokenLeftError)
  })

  it('+∞ is certainty, of several the first', () => {
    for (const sampler of samplers) {
      expect(sampler.choose(row(1, inf, inf, -inf), [])).toBe(1)
      expect([...sampler.probs(row(1, inf, inf, -inf), [])]).toEqual([0, 1, 0, 0])
    }
    expect(createLogitsRows(row(1, inf, inf), 3).gumbelArgMax(0, { temperature: 1, seed: 4n, position: 2 })).toBe(1)
  })

  it('what a caller’s processor writes is held to the same', () => {
    const writes = (value: number) =>
      createSampler({ temperature: 1, processors: [{ name: 'own', process: (logits) => void logits.fill(value, 1) }] })
    expect(() => writes(Number.NaN).choose(row(1, 2, 3), [])).toThrow(BadLogitsError)
    expect(writes(inf).choose(row(1, 2, 3), [])).toBe(1)
    expect([...writes(inf).probs(row(1, 2, 3), [])]).toEqual([0, 1, 0])
    expect(writes(-inf).choose(row(1, 2, 3), [])).toBe(0)
  })
})

describe('the noise that is not computed', () => {
  it('would have changed no choice', () => {
    const logits = fc.array(fc.float({ noNaN: true, min: -60, max: 60 }), { minLength: 1, maxLength: 200 })
    fc.assert(
      fc.property(logits, fc.constantFrom(0.01, 0.3, 1, 7), fc.nat(), (values, temperature, seed) => {
        const noise = createNoiseField(seed)
        const float32 = Float32Array.from(values)
        const keys = Array.from(float32, (logit, token) => logit / temperature + noise.gumbel(5, token))
        const choice = keys.indexOf(Math.max(...keys))
        expect(createSampler({ temperature, seed }).choose(float32, { length: 5 })).toBe(choice)
        const rows = createLogitsRows(float32, float32.length)
        expect(rows.gumbelArgMax(0, { temperature, seed: BigInt(seed), position: 5 })).toBe(choice)
      }),
      { seed: 9, numRuns: 500 },
    )
  })

  it('equal keys go to the lowest id', () => {
    // At this size noise is below half an ulp: all keys are equal.
    const rows = createLogitsRows(new Float32Array(64).fill(3e38), 64)
    for (let position = 0; position < 20; position++) {
      expect(rows.gumbelArgMax(0, { temperature: 1, seed: 1n, position })).toBe(0)
    }
  })
})

describe('createTargetChooser', () => {
  const data = row(1, 5, 2, 7, 0, 3)
  const logits = createLogitsRows(data, 3)

  it('asks the device where temperature and seed say it all, and gives the same tokens either way', async () => {
    for (const temperature of [0, 0.8]) {
      for (let position = 0; position < 50; position++) {
        const history = { length: position }
        const plain = createTargetChooser({ sampler: createSampler({ temperature, seed: 6 }), logits, history })
        const full = createTargetChooser({
          sampler: createSampler({ temperature, seed: 6, logitBias: {} }),
          logits,
          history,
        })
        expect(await plain.choose(1, [0])).toBe(await full.choose(1, [0]))
      }
    }
    const device = { ...logits, read: () => expect.unreachable(), argMax: () => 2, gumbelArgMax: () => 1 }
    const ask = (temperature: number) =>
      createTargetChooser({ sampler: createSampler({ temperature, seed: 6 }), logits: device, history: [] }).choose(
        0,
        [0],
      )
    expect(await ask(0)).toBe(2)
    expect(await ask(1)).toBe(1)
  })

  it('counts rows from firstRow', async () => {
    const target = createTargetChooser({ sampler: createSampler(), logits, firstRow: 1, history: [] })
    expect(await target.choose(0, [0])).toBe(0)
    expect([...(await target.probs(0, [0]))]).toEqual([1, 0, 0])
    expect((await target.logProbs(0, [0], { token: 0 })).token).toBe(0)
  })

  it('refuses unknown options', () => {
    const options = { sampler: createSampler(), logits, history: [], rows: 1 }
    expect(() => createTargetChooser(options)).toThrow(InvalidArgumentError)
  })
})

describe('logProbs', () => {
  const logits = row(Math.log(0.5), Math.log(0.3), Math.log(0.2))

  it('are those of the model before and of the sampler after its processors', () => {
    const sampler = createSampler({ temperature: 1, topK: 2, seed: 1 })
    const result = sampler.logProbs(logits, [], [], { token: 1, top: 2 })
    expect(result.logProb).toBeCloseTo(Math.log(0.3), 6)
    expect(result.processedLogProb).toBeCloseTo(Math.log(0.3 / 0.8), 6)
    expect(result.top.map(({ token }) => token)).toEqual([0, 1])
    expect(result.top[0]!.logProb).toBeCloseTo(Math.log(0.5), 6)
    const cut = sampler.logProbs(logits, [], [], { token: 2 })
    expect(cut.processedLogProb).toBe(-inf)
    expect(cut.top).toEqual([])
  })

  it('sort the alternatives, equals by id, and give no more than there are', () => {
    const { top } = createSampler().logProbs(row(1, 4, 4, -inf), [], [], { token: 1, top: 9 })
    expect(top.map(({ token }) => token)).toEqual([1, 2, 0])
    expect(createSampler().logProbs(row(1, 4), [], [], { token: 1 }).processedLogProb).toBe(0)
  })

  it('refuse tokens and counts that make no sense', () => {
    const sampler = createSampler()
    expect(() => sampler.logProbs(logits, [], [], { token: 3 })).toThrow(InvalidArgumentError)
    expect(() => sampler.logProbs(logits, [], [], { token: 0, top: -1 })).toThrow(InvalidArgumentError)
  })
})

describe('createLogitsRows', () => {
  it('refuses sizes that do not fit and rows that are not there', () => {
    expect(() => createLogitsRows(new Float32Array(5), 2)).toThrow(InvalidArgumentError)
    expect(() => createLogitsRows(new Float32Array(4), 0)).toThrow(InvalidArgumentError)
    const rows = createLogitsRows(new Float32Array(4), 2)
    expect(rows).toMatchObject({ rows: 2, vocabSize: 2 })
    for (const bad of [2, -1, 0.5]) expect(() => rows.argMax(bad)).toThrow(InvalidArgumentError)
  })

  it('hands out copies', async () => {
    const data = new Float32Array(4)
    const copy = await createLogitsRows(data, 2).read(1)
    copy.fill(9)
    expect([...data]).toEqual([0, 0, 0, 0])
  })

  it('answers for each seed', () => {
    const rows = createLogitsRows(new Float32Array(100), 100)
    const ask = (seed: bigint) => rows.gumbelArgMax(0, { temperature: 1, seed, position: 1 })
    const tokens = [1n, 2n, 3n].map(ask)
    expect(new Set(tokens).size).toBe(3)
    expect([1n, 2n, 3n].map(ask)).toEqual(tokens)
  })
})
