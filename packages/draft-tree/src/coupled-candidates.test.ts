import { InvalidArgumentError } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { type CoupledCandidatesOptions, CouplingScale, coupledCandidates } from './coupled-candidates.js'
import { topCandidates } from './top-candidates.js'

/** Standard Gumbel noise that is a function of its arguments. */
function noise(position: number, token: number): number {
  let h = Math.imul(position + 1, 0x9e3779b1) ^ Math.imul(token + 1, 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39)
  return -Math.log(-Math.log((((h ^ (h >>> 15)) >>> 0) + 0.5) / 2 ** 32))
}

const vocabSize = 24
const logits = Float32Array.from({ length: vocabSize }, (_, v) => 3 * Math.sin(5 * v) - v / 6)
function coupled(options: Partial<CoupledCandidatesOptions> = {}) {
  return coupledCandidates({
    logits,
    rows: 1,
    vocabSize,
    width: 4,
    rule: { temperature: 1 },
    positions: [3],
    noise,
    ...options,
  })
}

function argMax(values: readonly number[]): number {
  return values.indexOf(Math.max(...values))
}

describe('coupledCandidates', () => {
  it('has the target’s own choice first where draft and target agree', () => {
    for (let position = 0; position < 200; position++) {
      for (const temperature of [0.5, 1, 2]) {
        const choice = argMax([...logits].map((logit, v) => logit / temperature + noise(position, v)))
        const { tokens } = coupled({ rule: { temperature }, positions: [position] })
        expect(tokens[0]).toBe(choice)
      }
    }
  })

  it('scores with the softmax of the perturbed log-probabilities over s', () => {
    const { tokens, logProbs } = coupled({ width: vocabSize, scale: 0.7 })
    const logSum = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0))
    const scaled = [...logits].map((logit, v) => (logit - logSum + noise(3, v)) / 0.7)
    const scaledSum = Math.log(scaled.reduce((sum, value) => sum + Math.exp(value), 0))
    for (const [rank, token] of tokens.entries()) expect(logProbs[rank]).toBeCloseTo(scaled[token]! - scaledSum, 4)
    expect([...logProbs].reduce((sum, logProb) => sum + Math.exp(logProb), 0)).toBeCloseTo(1, 5)
    expect([...logProbs]).toEqual([...logProbs].sort((a, b) => b - a))
  })

  it('is plain at temperature 0', () => {
    const plain = topCandidates({ logits, rows: 1, vocabSize, width: 4 })
    expect(coupled({ rule: { temperature: 0 } })).toEqual(plain)
  })

  it('offers only what the cuts leave', () => {
    const sorted = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!)
    const probs = sorted.map((v) => Math.exp(logits[v]!))
    const total = probs.reduce((sum, prob) => sum + prob, 0)
    const offered = (rule: object) => {
      const { tokens, logProbs } = coupled({ width: vocabSize, rule: { temperature: 1, ...rule } })
      return [...tokens].filter((_, rank) => logProbs[rank]! > -Infinity).sort((a, b) => a - b)
    }
    const first = (count: number) => sorted.slice(0, count).sort((a, b) => a - b)
    const nucleus = (list: readonly number[], p: number, mass: number) => {
      let [sum, count] = [0, 0]
      while (sum < p * mass) sum += list[count++]!
      return count
    }
    expect(offered({ topK: 5 })).toEqual(first(5))
    expect(offered({ topP: 0.8 })).toEqual(first(nucleus(probs, 0.8, total)))
    const five = probs.slice(0, 5)
    const fiveMass = five.reduce((sum, prob) => sum + prob, 0)
    expect(offered({ topK: 5, topP: 0.8 })).toEqual(first(nucleus(five, 0.8, fiveMass)))
    expect(offered({ minP: 0.2 })).toEqual(first(probs.filter((prob) => prob >= 0.2 * probs[0]!).length))
    expect(offered({ minP: 1, topP: 1e-9 })).toEqual(first(1))
    expect(coupled({ pool: 3, width: 10 }).width).toBe(3)
  })

  it('lives with numbers that are none', () => {
    const broken = Float32Array.of(Number.NaN, 1, Infinity, -Infinity)
    const { tokens } = coupled({ logits: broken, vocabSize: 4, width: 4, noise: () => Number.NaN })
    expect(new Set(tokens).size).toBe(4)
    const nothing = coupled({ logits: [Number.NaN], vocabSize: 1 })
    expect([...nothing.logProbs]).toEqual([-Infinity])
  })

  it.each<Partial<CoupledCandidatesOptions>>([
    { rule: { temperature: -1 } },
    { rule: { temperature: Number.NaN } },
    { rule: { temperature: 1, topK: 0 } },
    { rule: { temperature: 1, topP: 0 } },
    { rule: { temperature: 1, minP: 2 } },
    { scale: 0 },
    { pool: 0 },
    { width: -1 },
    { positions: [] },
    { logits: [1] },
    { width: 1, temperature: 1 } as object,
  ])('refuses %o', (options) => {
    expect(() => coupled(options)).toThrow(InvalidArgumentError)
  })
})

describe('CouplingScale', () => {
  /** Scores under the scale in use, choices drawn under the true one. */
  function learn(trueScale: number, initial: number): number {
    const scale = new CouplingScale({ initial })
    for (let i = 0; i < 3000; i++) {
      const own = logits.map((logit, v) => logit + noise(i, v))
      const scores = (s: number) => {
        const powers = own.map((value) => Math.exp(value / s))
        const sum = powers.reduce((total, power) => total + power, 0)
        return powers.map((power) => Math.log(power / sum))
      }
      const u = Math.exp(-Math.exp(-noise(i, 1000)))
      let [sum, choice] = [0, -1]
      for (const logProb of scores(trueScale)) if (sum < u) [sum, choice] = [sum + Math.exp(logProb), choice + 1]
      const present = scores(scale.value)
      const ranking = [...present.keys()].sort((a, b) => present[b]! - present[a]!).slice(0, 10)
      scale.observe(
        ranking.map((v) => present[v]!),
        ranking.indexOf(choice),
      )
    }
    return scale.value
  }

  it.each([
    [0.3, 2],
    [1, 0.1],
  ])('finds the scale %d from %d', (trueScale, initial) => {
    expect(Math.abs(Math.log(learn(trueScale, initial) / trueScale))).toBeLessThan(0.3)
  })

  it('stays within bounds and ignores rows without numbers', () => {
    const scale = new CouplingScale({ learningRate: 1 })
    expect(scale.value).toBeCloseTo(0.5)
    for (const row of [[], [Number.NaN], [Number.NaN, -1]]) scale.observe(row, 0)
    expect(scale.value).toBeCloseTo(0.5)
    for (let i = 0; i < 50; i++) scale.observe([-0.01, -5], -1)
    expect(scale.value).toBeCloseTo(10)
    for (let i = 0; i < 50; i++) scale.observe([-1, -1.5], 0)
    expect(scale.value).toBeGreaterThanOrEqual(0.02)
  })

  it.each([{ initial: 0 }, { learningRate: 0 }, { rate: 1 }])('refuses %o', (options) => {
    expect(() => new CouplingScale(options)).toThrow(InvalidArgumentError)
  })
})
