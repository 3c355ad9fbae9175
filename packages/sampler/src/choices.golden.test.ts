import { describe, expect, it } from 'vitest'
import { readGoldenJson } from '../../../test/support/golden.js'
import { createLogitsRows, createSampler } from './index.js'

interface ChoiceCase {
  logits: number[]
  temperature: number
  seed: number
  position: number
  token: number
}

describe('golden choices', () => {
  it('are made from a row and from rows on a device', async () => {
    const choices = readGoldenJson('noise', 'choices.json')
    const list = (Array.isArray(choices) ? choices : choices.cases) as ChoiceCase[]
    expect(list.length).toBeGreaterThan(0)
    for (const { logits, temperature, seed, position, token } of list) {
      const row = Float32Array.from(logits)
      expect(createSampler({ temperature, seed }).choose(row, { length: position })).toBe(token)
      const rows = createLogitsRows(row, row.length)
      expect(await rows.gumbelArgMax(0, { temperature, seed: BigInt(seed), position })).toBe(token)
    }
  })
})
