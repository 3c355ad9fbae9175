import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDraftHead } from '@hass-engine/models'
import { openModel } from '@hass-engine/weights'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findCheckpoint } from '../checkpoint/load-checkpoint.js'
import { createLocalFeatureSource } from '../corpus/local-feature-source.js'
import type { TrainingEvent } from '../run/events.js'
import { runPlaces } from '../run/run-places.js'
import { useDevice } from '../testing/devices.js'
import { tinyRecipe } from '../testing/tiny-recipe.js'
import { hashState } from '../testing/tiny-run.js'
import { createTinyTarget, runCorpus, type TinyTarget, tinyPrompts } from '../testing/tiny-target.js'
import { type TrainFromRecipeOptions, trainFromRecipe } from './train-from-recipe.js'

describe('trainFromRecipe', () => {
  const device = useDevice('cpu')
  let folder: string
  let tiny: TinyTarget
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hass-recipe-'))
    tiny = await createTinyTarget(device())
    const source = createLocalFeatureSource({ target: tiny.target, identity: tiny.identity })
    const { tokenizer } = tiny
    const texts = tinyPrompts(48)
    const sizes = { maxTokens: 16, maxPromptTokens: 80, promptsPerShard: 16 }
    await runCorpus({ folder: join(folder, 'corpus'), source, tokenizer, texts, ...sizes })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const run = async (name: string, changes: Partial<TrainFromRecipeOptions> = {}, stopAfter = Infinity) => {
    const events: TrainingEvent[] = []
    const options = {
      folder: join(folder, name),
      recipe: tinyRecipe,
      corpus: join(folder, 'corpus'),
      target: tiny.model,
      device: device(),
      ...changes,
    }
    for await (const event of trainFromRecipe(options)) {
      events.push(event)
      if (event.type === 'step-end' && event.step === stopAfter) break
    }
    return events
  }
  const finalHash = async (name: string) =>
    hashState((await findCheckpoint(runPlaces(join(folder, name)).checkpoints)).state)

  it('goes from a corpus to a head that drafts for its target', async () => {
    const events = await run('whole')
    expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'completed', step: 8 })
    const evaluated = events.filter(({ type }) => type === 'evaluated')
    expect(evaluated.map(({ step }) => step)).toEqual([0, 5, 8])
    const losses = events.flatMap((event) => (event.type === 'step-end' ? [event.losses] : []))
    expect(losses.map(({ length }) => length)).toEqual([1, 1, 1, 1, 1, 2, 2, 2])
    const model = await openModel(runPlaces(join(folder, 'whole')).best)
    await using head = await createDraftHead({ device: device(), target: tiny.target, model })
    expect(head.draftVocabSize).toBe(24)
  })

  it('begins with a head that it is given', async () => {
    const start = await openModel(runPlaces(join(folder, 'whole')).best)
    const events = await run('started', { start }, 1)
    const ours = events.find((event) => event.type === 'evaluated')
    for (const [name, values] of ours!.parameters) {
      expect([name, values]).toEqual([name, await start.tensors.get(name)!.readFloat32()])
    }
  })

  it.each([2, 5, 7])('ends with the same bits after a second sitting that begins behind step %i', async (step) => {
    await run(`split-${step}`, {}, step + 1)
    const [start] = await run(`split-${step}`, { resume: true })
    // What was done in the step behind which nothing was saved is done again.
    expect(start).toMatchObject({ type: 'run-start', step })
    expect(await finalHash(`split-${step}`)).toBe(await finalHash('whole'))
  })

  it('goes on with the shards that it began with, and refuses others', async () => {
    await run('shards', { shards: 2 }, 2)
    const [start] = await run('shards', { resume: true }, 3)
    expect(start).toMatchObject({ facts: { shards: 2 } })
    await expect(run('shards', { resume: true, shards: 3 })).rejects.toMatchObject({
      code: 'HASS_ERR_RUN_MISMATCH',
      details: { differences: [{ path: 'data' }] },
    })
  })

  it('refuses to go on with another recipe, naming what differs', async () => {
    await expect(run('whole', { resume: true, recipe: { ...tinyRecipe, seed: 4, noise: 0 } })).rejects.toMatchObject({
      code: 'HASS_ERR_RUN_MISMATCH',
      details: { differences: [{ path: 'seed' }, { path: 'noise' }] },
    })
  })
})
