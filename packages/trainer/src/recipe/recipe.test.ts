import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { learningRateAt } from '../run/training-plan.js'
import { tinyRecipe } from '../testing/tiny-recipe.js'
import { recipes } from './presets.js'
import { parseRecipe, planOf, readRecipe } from './recipe.js'

describe('recipes', () => {
  it.each(Object.keys(recipes) as (keyof typeof recipes)[])('%s can be written to a file and read again', (name) => {
    expect(parseRecipe(JSON.parse(JSON.stringify(recipes[name])), name)).toEqual(recipes[name])
  })

  it('turns epochs into optimizer steps, counting on through the phases', () => {
    // Epochs of the paper: 40 and 10. Epoch e has 100 + e batches here.
    const { phases } = planOf(recipes.paper, (epoch) => 100 + epoch)
    const batches = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => 100 + from + i)
    const sum = (counts: number[]) => counts.reduce((total, count) => total + count, 0)
    expect(phases.map(({ steps }) => steps)).toEqual([sum(batches(0, 40)), sum(batches(40, 50))])
    expect(phases[0]).not.toHaveProperty('epochs')
  })

  it('is the paper’s where it says so', () => {
    const plan = planOf(recipes.paper, () => 1000)
    const [first, second] = plan.phases
    expect(first).toMatchObject({ alignmentSteps: 3, weights: { feature: 1, token: 0.1, topK: 0 } })
    expect(second).toMatchObject({ alignmentSteps: 3, weights: { feature: 1, token: 0.1, topK: 1 } })
    expect(plan).toMatchObject({ betas: [0.9, 0.95], weightDecay: 0.01, clip: 0.5, topK: 10 })
    expect(recipes.paper.noise).toBe(0.1)
    // One percent of 40 000 steps, then down in a line.
    expect(learningRateAt(first!, 199)).toBeCloseTo(1.5e-5, 12)
    expect(learningRateAt(first!, 400)).toBeCloseTo(3e-5, 12)
    expect(learningRateAt(first!, 20_200)).toBeCloseTo(1.5e-5, 12)
    expect(learningRateAt(second!, 100)).toBeCloseTo(1e-5, 12)
  })

  it('falls along a cosine, and not at all where it is constant', () => {
    const phase = { ...planOf(tinyRecipe, () => 1).phases[0]!, steps: 100, warmupShare: 0 }
    const rate = (schedule: 'cosine' | 'constant', step: number) => learningRateAt({ ...phase, schedule }, step)
    expect(rate('cosine', 0)).toBeCloseTo(1e-3, 12)
    expect(rate('cosine', 25)).toBeCloseTo(1e-3 * (0.5 + Math.SQRT1_2 / 2), 12)
    expect(rate('cosine', 50)).toBeCloseTo(5e-4, 12)
    expect(rate('constant', 99)).toBe(1e-3)
  })

  it.each<[what: string, changes: object, message: RegExp]>([
    ['unknown fields', { momentum: 0.9 }, /momentum/],
    ['missing fields', { seed: undefined }, /seed/],
    ['a batch of nothing', { batch: { ...tinyRecipe.batch, maxRows: 0 } }, /batch\.maxRows/],
    ['an unknown field of the batch', { batch: { ...tinyRecipe.batch, rows: 3 } }, /rows/],
    ['neither true nor false', { batch: { ...tinyRecipe.batch, countsPrompts: 1 } }, /batch\.countsPrompts/],
    ['a batch that is no object', { batch: 7 }, /batch is no object/],
    ['no phases', { phases: [] }, /phases/],
    ['phases that are no list', { phases: 'many' }, /phases is no list/],
    ['a phase without length', { phases: [{ ...tinyRecipe.phases[0], steps: undefined }] }, /epochs/],
    ['a phase of half a step', { phases: [{ ...tinyRecipe.phases[0], steps: 0.5 }] }, /steps/],
    ['too many alignment steps', { phases: [{ ...tinyRecipe.phases[0], alignmentSteps: 99 }] }, /alignmentSteps/],
    ['everything held out', { heldOutShare: 1 }, /heldOutShare/],
    ['weights of unknown losses', { phases: [{ ...tinyRecipe.phases[0], weights: { feature: 1 } }] }, /weight/],
  ])('refuses %s', (_, changes, message) => {
    const value = JSON.parse(JSON.stringify({ ...tinyRecipe, ...changes }))
    const parse = () => parseRecipe(value, 'mine.json')
    expect(parse).toThrow(expect.objectContaining({ code: 'HASS_ERR_RECIPE', message: expect.stringMatching(message) }))
    expect(parse).toThrow(/mine\.json/)
  })

  it('says what is wrong with a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hass-recipe-'))
    try {
      const path = join(folder, 'mine.json')
      await expect(readRecipe(path)).rejects.toMatchObject({
        code: 'HASS_ERR_RECIPE',
        message: expect.stringMatching(/ENOENT/),
      })
      await writeFile(path, '{')
      await expect(readRecipe(path)).rejects.toMatchObject({
        code: 'HASS_ERR_RECIPE',
        message: expect.stringMatching(/no JSON/),
      })
      await writeFile(path, JSON.stringify(tinyRecipe))
      expect(await readRecipe(path)).toEqual(tinyRecipe)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
