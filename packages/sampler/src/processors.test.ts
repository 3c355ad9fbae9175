import { InvalidArgumentError } from '@hass-engine/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createProcessors, createSampler, type ProcessorName, type ProcessorOptions, processorNames } from './index.js'

const process = (options: ProcessorOptions, logits: number[], history: number[] = [], path: number[] = []) => {
  const row = Float64Array.from(logits)
  const context = { history, path, position: history.length + path.length }
  for (const processor of createProcessors({ temperature: 1, ...options })) processor.process(row, context)
  return [...row]
}
const gone = -Infinity

describe('penalties', () => {
  it('see history and path', () => {
    expect(process({ repetitionPenalty: 2 }, [4, -4, 4, 0], [0], [1, 3])).toEqual([2, -8, 4, 0])
    expect(process({ presencePenalty: 0.5 }, [4, 4, 4], [0, 0], [1])).toEqual([3.5, 3.5, 4])
    expect(process({ frequencyPenalty: 0.5 }, [4, 4, 4], [0, 0], [1, 0])).toEqual([2.5, 3.5, 4])
  })

  it('count presence and frequency from the end of the prompt, repetition from its start', () => {
    const options = { presencePenalty: 1, frequencyPenalty: 0.25, promptLength: 2 }
    expect(process(options, [4, 4, 4], [0, 1, 1], [1])).toEqual([4, 2.5, 4])
    expect(process({ repetitionPenalty: 2, promptLength: 2 }, [4, 4, 4], [0, 1, 1])).toEqual([2, 2, 4])
  })

  it('pass over ids that are not in the vocabulary, and start afresh for each row', () => {
    const [penalty] = createProcessors({ frequencyPenalty: 1 })
    for (const length of [2, 3, 3]) {
      const row = new Float64Array(length)
      penalty!.process(row, { history: [1, 1, 99], path: [], position: 3 })
      expect([...row]).toEqual(length === 2 ? [0, -2] : [0, -2, 0])
    }
  })
})

describe('constraints', () => {
  it('add a bias and ban tokens', () => {
    expect(process({ logitBias: { 1: 3, 2: -1 } }, [0, 0, 0])).toEqual([0, 3, -1])
    expect(process({ bannedTokens: [0, 2] }, [1, 1, 1])).toEqual([gone, 1, gone])
  })

  it('ban stop tokens until enough tokens have been generated', () => {
    const options = { minTokens: 2, stopTokens: [1], promptLength: 3 }
    expect(process(options, [0, 5], [0, 0, 0])).toEqual([0, gone])
    expect(process(options, [0, 5], [0, 0, 0], [0])).toEqual([0, gone])
    expect(process(options, [0, 5], [0, 0, 0, 0], [0])).toEqual([0, 5])
  })

  it('force the token of a step, even a banned one', () => {
    const options = { forcedTokens: { 1: 2 }, bannedTokens: [2], promptLength: 1 }
    expect(process(options, [1, 1, 1], [0])).toEqual([1, 1, gone])
    expect(process(options, [1, 1, 1], [0], [0])).toEqual([gone, gone, 0])
  })

  it('apply a mask of bits, that may be shorter than the row or absent', () => {
    const seen: unknown[] = []
    const mask = (context: unknown) => {
      seen.push(context)
      return Uint32Array.of(0b101)
    }
    const row = process({ mask }, new Array(40).fill(1), [3], [4])
    expect(row.flatMap((logit, token) => (logit === 1 ? [token] : []))).toEqual([0, 2])
    expect(seen).toEqual([{ history: [3], path: [4], position: 2 }])
    expect(process({ mask: () => undefined }, [1, 2])).toEqual([1, 2])
    const last = process({ mask: () => Int32Array.of(0, -2147483648) }, new Array(64).fill(1))
    expect(last.indexOf(1)).toBe(63)
  })

  it.each([
    { logitBias: { 3: 1 } },
    { bannedTokens: [3] },
    { forcedTokens: { 0: 3 } },
    { minTokens: 1, stopTokens: [3] },
  ])('refuse a token outside the vocabulary: %o', (options) => {
    expect(() => process(options, [0, 0, 0])).toThrow(InvalidArgumentError)
  })
})

describe('cuts', () => {
  it('keep the lower ids of equals', () => {
    expect(process({ topK: 2 }, [1, 1, 1])).toEqual([1, 1, gone])
    expect(process({ topP: 0.6 }, [0, 0, 0])).toEqual([0, 0, gone])
  })

  it('leave a row alone where they keep everything', () => {
    const row = [3, 1, 2]
    for (const options of [{ topK: 3 }, { topK: 99 }, { topP: 1 }, { minP: 0 }, { typicalP: 1 }]) {
      expect(process(options, row)).toEqual(row)
    }
  })

  it('may remove the most probable token only where that is typical sampling', () => {
    // A fifth of the mass in one token, the rest spread: the entropy is far from the one token's surprise.
    const row = [Math.log(0.2), ...new Array(80).fill(Math.log(0.01))]
    expect(process({ typicalP: 0.3 }, row)[0]).toBe(gone)
  })
})

describe('createProcessors', () => {
  it('applies what is asked for in its default order, whatever the order of the options', () => {
    const options = { topP: 0.9, topK: 5, temperature: 0.5, repetitionPenalty: 1.1 }
    expect(createProcessors(options).map(({ name }) => name)).toEqual([
      'repetitionPenalty',
      'temperature',
      'topK',
      'topP',
    ])
  })

  it('follows a given order', () => {
    const options = { temperature: 0.5, topK: 5, topP: 0.9, order: ['topP', 'topK', 'temperature'] as const }
    expect(createProcessors(options).map(({ name }) => name)).toEqual(['topP', 'topK', 'temperature'])
  })

  it('places own processors before constraints', () => {
    const own = { name: 'own', process: (logits: Float64Array) => void logits.fill(7) }
    expect(process({ processors: [own], bannedTokens: [0], logitBias: { 1: 1 } }, [1, 2])).toEqual([gone, 7])
  })

  it('drops temperature and cuts at temperature 0, and only those', () => {
    const options = { topK: 1, topP: 0.5, minP: 0.5, typicalP: 0.5, bannedTokens: [0] }
    expect(createProcessors(options).map(({ name }) => name)).toEqual(['bannedTokens'])
    expect(createProcessors({ ...options, temperature: 0 }).map(({ name }) => name)).toEqual(['bannedTokens'])
  })

  it.each<[string, object]>([
    ['an unknown option', { topk: 3 }],
    ['temperature below 0', { temperature: -1 }],
    ['temperature that would overflow', { temperature: 1e-9 }],
    ['temperature NaN', { temperature: Number.NaN }],
    ['topK 0', { topK: 0 }],
    ['topK 1.5', { topK: 1.5 }],
    ['topP 0', { topP: 0 }],
    ['topP above 1', { topP: 1.01 }],
    ['minP above 1', { minP: 2 }],
    ['typicalP 0', { typicalP: 0 }],
    ['repetitionPenalty 0', { repetitionPenalty: 0 }],
    ['presencePenalty infinite', { presencePenalty: Infinity }],
    ['frequencyPenalty NaN', { frequencyPenalty: Number.NaN }],
    ['bias infinite', { logitBias: { 1: Infinity } }],
    ['bias of a token that is no number', { logitBias: { dog: 1 } }],
    ['banned token negative', { bannedTokens: [-1] }],
    ['forced token NaN', { forcedTokens: { 0: Number.NaN } }],
    ['forced step that is no number', { forcedTokens: { first: 1 } }],
    ['minTokens without stopTokens', { minTokens: 3 }],
    ['minTokens negative', { minTokens: -1, stopTokens: [1] }],
    ['promptLength negative', { promptLength: -1 }],
    ['an order with a stranger', { order: ['topk'] }],
    ['an order that names one twice', { order: ['topK', 'topK'] }],
    ['an order that leaves out what is asked for', { topK: 3, order: ['topP'] }],
  ])('refuses %s', (_, options) => {
    expect(() => createProcessors(options)).toThrow(InvalidArgumentError)
  })
})

const vocabSize = 40
const logits = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), {
  minLength: vocabSize,
  maxLength: vocabSize,
})
const modest = fc.array(fc.float({ noNaN: true, min: -20, max: 20 }), { minLength: vocabSize, maxLength: vocabSize })
const tokens = fc.array(fc.nat({ max: vocabSize - 1 }), { maxLength: 12 })
const bounded = (min: number, max: number) => fc.double({ noNaN: true, min, max })
const anyOptions = fc.record(
  {
    temperature: bounded(1e-6, 100),
    topK: fc.integer({ min: 1, max: 50 }),
    topP: bounded(1e-12, 1),
    minP: bounded(0, 1),
    typicalP: bounded(1e-12, 1),
    repetitionPenalty: bounded(1e-3, 1e3),
    presencePenalty: bounded(-1e3, 1e3),
    frequencyPenalty: bounded(-1e3, 1e3),
    logitBias: fc.dictionary(fc.nat({ max: vocabSize - 1 }).map(String), bounded(-100, 100)),
    order: fc.shuffledSubarray([...processorNames], { minLength: processorNames.length }),
  },
  { requiredKeys: ['temperature'] },
)

describe('properties', () => {
  it('any finite row keeps at least one token and adds up to 1, in any order of any processors', () => {
    fc.assert(
      fc.property(logits, tokens, anyOptions, (row, history, options) => {
        const probs = createSampler({ ...options, seed: 1 }).probs(Float32Array.from(row), history)
        const sum = probs.reduce((total, prob) => total + prob, 0)
        expect(probs.every((prob) => prob >= 0)).toBe(true)
        expect(Math.abs(sum - 1)).toBeLessThan(1e-9)
      }),
      { seed: 3, numRuns: 400 },
    )
  })

  it('the chosen token has a probability above 0', () => {
    fc.assert(
      fc.property(modest, tokens, anyOptions, fc.nat(), (row, history, options, seed) => {
        const sampler = createSampler({ ...options, seed })
        const float32 = Float32Array.from(row)
        expect(sampler.probs(float32, history)[sampler.choose(float32, history)]).toBeGreaterThan(0)
      }),
      { seed: 4, numRuns: 300 },
    )
  })

  const keptBy = (options: ProcessorOptions, row: number[]) => process(options, row).map((logit) => logit > -Infinity)

  it('a shift of all logits changes no cut', () => {
    // Multiples of 1/64: the shift is exact.
    const grid = fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: vocabSize, maxLength: vocabSize })
    fc.assert(
      fc.property(grid, fc.integer({ min: -5000, max: 5000 }), bounded(0.01, 0.99), (row, shift, p) => {
        const base = row.map((x) => x / 64)
        const shifted = row.map((x) => (x + shift) / 64)
        for (const options of [{ topK: 7 }, { topP: p }, { minP: p }]) {
          expect(keptBy(options, shifted)).toEqual(keptBy(options, base))
        }
      }),
      { seed: 5, numRuns: 200 },
    )
  })

  it('topK and minP commute with each other and with the temperature', () => {
    const orders: ProcessorName[][] = [
      ['temperature', 'topK'],
      ['topK', 'temperature'],
    ]
    fc.assert(
      fc.property(modest, fc.integer({ min: 1, max: 40 }), bounded(0.01, 1), (row, topK, minP) => {
        const [a, b] = orders.map((order) => process({ temperature: 0.5, topK, order }, row))
        expect(a).toEqual(b)
        const first = process({ topK, minP, order: ['topK', 'minP', 'temperature'] }, row)
        const second = process({ topK, minP, order: ['minP', 'topK', 'temperature'] }, row)
        expect(first).toEqual(second)
      }),
      { seed: 6, numRuns: 200 },
    )
  })

  it('a larger topP keeps everything that a smaller one keeps', () => {
    fc.assert(
      fc.property(modest, bounded(0.01, 1), bounded(0.01, 1), (row, a, b) => {
        const small = keptBy({ topP: Math.min(a, b) }, row)
        const large = keptBy({ topP: Math.max(a, b) }, row)
        expect(small.every((isKept, token) => !isKept || large[token])).toBe(true)
      }),
      { seed: 7, numRuns: 200 },
    )
  })

  it('penalties do not care about the order of the history', () => {
    fc.assert(
      fc.property(modest, tokens, (row, history) => {
        const options = { presencePenalty: 0.5, frequencyPenalty: 0.25, repetitionPenalty: 1.5 }
        expect(process(options, row, [...history].reverse())).toEqual(process(options, row, history))
        expect(process(options, row, [], history)).toEqual(process(options, row, history))
      }),
      { seed: 8, numRuns: 200 },
    )
  })
})
