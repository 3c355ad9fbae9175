import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bestIndices } from './best.js'
import { topCandidates } from './top-candidates.js'

const number = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(Number.NaN, Infinity, -Infinity), fc.double())

describe('bestIndices', () => {
  it('agrees with a full sort', () => {
    const rank = (value: number) => (Number.isNaN(value) ? -Infinity : value)
    fc.assert(
      fc.property(fc.array(number, { maxLength: 60 }), fc.nat(70), fc.nat(10), (values, count, skipped) => {
        const from = Math.min(skipped, values.length)
        const sorted = values
          .map((_, i) => i)
          .slice(from)
          .sort((a, b) => {
            const [x, y] = [rank(values[a]!), rank(values[b]!)]
            return x === y ? a - b : y > x ? 1 : -1
          })
        expect([...bestIndices(values, count, from)]).toEqual(sorted.slice(0, count))
      }),
      { numRuns: 500 },
    )
  })
})

describe('topCandidates', () => {
  it('gives log-softmax over the whole vocabulary, of equals the lower id', () => {
    const logits = [1, 3, 2, 3, 0, 0, 0, 9]
    const { rows, width, tokens, logProbs } = topCandidates({ logits, rows: 2, vocabSize: 4, width: 3 })
    expect([rows, width]).toEqual([2, 3])
    expect([...tokens]).toEqual([1, 3, 2, 3, 0, 1])
    const logSum = Math.log(Math.exp(1) + 2 * Math.exp(3) + Math.exp(2))
    expect(logProbs[0]).toBeCloseTo(3 - logSum, 6)
    expect(logProbs[2]).toBeCloseTo(2 - logSum, 6)
    expect(logProbs[1]).toBe(logProbs[0])
  })

  it('does not overflow', () => {
    const { logProbs } = topCandidates({ logits: [3e38, -3e38, 3e38], rows: 1, vocabSize: 3, width: 3 })
    expect(logProbs[0]).toBeCloseTo(Math.log(0.5), 6)
    expect(logProbs[2]).toBe(-Infinity)
  })

  it('ranks NaN last and shares probability among infinite logits', () => {
    const nan = topCandidates({ logits: [Number.NaN, 1, 1], rows: 1, vocabSize: 3, width: 3 })
    expect([...nan.tokens]).toEqual([1, 2, 0])
    expect(nan.logProbs[0]).toBeCloseTo(Math.log(0.5), 6)
    expect(nan.logProbs[2]).toBe(-Infinity)
    const infinite = topCandidates({ logits: [0, Infinity, Infinity], rows: 1, vocabSize: 3, width: 2 })
    expect([...infinite.tokens]).toEqual([1, 2])
    expect(infinite.logProbs[1]).toBeCloseTo(Math.log(0.5), 6)
    const nothing = topCandidates({ logits: [Number.NaN, -Infinity], rows: 1, vocabSize: 2, width: 1 })
    expect([...nothing.logProbs]).toEqual([-Infinity])
  })

  it('has no more candidates than the vocabulary, and none for width 0', () => {
    expect(topCandidates({ logits: [1, 2], rows: 1, vocabSize: 2, width: 10 }).width).toBe(2)
    expect(topCandidates({ logits: [1, 2], rows: 1, vocabSize: 2, width: 0 }).tokens).toHaveLength(0)
  })

  it.each([
    [{ logits: [1], rows: 1, vocabSize: 2, width: 1 }, 'There are 1 logits'],
    [{ logits: [], rows: 0, vocabSize: 0, width: 1 }, 'vocabSize'],
    [{ logits: [1], rows: 1, vocabSize: 1, width: -1 }, 'width'],
    [{ logits: [1], rows: 1, vocabSize: 1, width: 1, k: 2 }, 'no option "k"'],
  ])('refuses %o', (options, message) => {
    expect(() => topCandidates(options)).toThrow(message)
  })
})
