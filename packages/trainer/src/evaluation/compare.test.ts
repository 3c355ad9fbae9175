import { InvalidArgumentError } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import type { AcceptanceCounts } from './acceptance.js'
import { compareAcceptance } from './compare.js'

const counts = (emitted: number, cycles: number): AcceptanceCounts => ({
  emitted,
  cycles,
  drafted: 0,
  accepted: 0,
  depths: [],
})

describe('compareAcceptance', () => {
  it('is the ratio of acceptance lengths over all cycles', () => {
    const { value } = compareAcceptance([counts(10, 10), counts(40, 20)], [counts(10, 5), counts(40, 16)])
    expect(value).toBeCloseTo(50 / 21 / (50 / 30), 12)
  })

  it('knows a gain that all prompts share, however different they are', () => {
    // A tenth fewer cycles for each prompt, whose own acceptance lengths lie between 1 and 5.
    const before = Array.from({ length: 50 }, (_, i) => counts(100 * (1 + (i % 5)), 100))
    const after = before.map(({ emitted }) => counts(emitted, 90))
    const { value, low, high } = compareAcceptance(before, after)
    for (const ratio of [value, low, high]) expect(ratio).toBeCloseTo(100 / 90, 10)
  })

  it('has an interval around one where nothing is gained', () => {
    const before = Array.from({ length: 60 }, (_, i) => counts(150 + (i % 7), 100))
    const after = Array.from({ length: 60 }, (_, i) => counts(150 + ((i * 3) % 7), 100))
    const { low, high } = compareAcceptance(before, after)
    expect(low).toBeLessThan(1)
    expect(high).toBeGreaterThan(1)
  })

  it('refuses other prompts, and none', () => {
    expect(() => compareAcceptance([counts(1, 1)], [])).toThrow(InvalidArgumentError)
    expect(() => compareAcceptance([counts(1, 0)], [counts(1, 0)])).toThrow(InvalidArgumentError)
  })
})
