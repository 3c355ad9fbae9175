import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDevice } from '@hass-engine/kernels'
import { createLocalFeatureSource } from '@hass-engine/trainer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tinyRecipe } from '../../../trainer/src/testing/tiny-recipe.js'
import { createTinyTarget, runCorpus, tinyPrompts } from '../../../trainer/src/testing/tiny-target.js'
import { runCli } from '../run-cli.js'
import { createMemoryTerminal } from '../testing/memory-terminal.js'

let folder: string
let modelPath: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-train-'))
  const device = openDevice({ kind: 'auto', threads: 2 })
  const { model, target, identity, tokenizer } = await createTinyTarget(device)
  modelPath = model.path
  const source = createLocalFeatureSource({ target, identity })
  await runCorpus({ folder: at('corpus'), source, tokenizer, texts: tinyPrompts(32), maxTokens: 12 })
  await writeFile(at('recipe.json'), JSON.stringify(tinyRecipe))
  await writeFile(at('other.json'), JSON.stringify({ ...tinyRecipe, seed: 9 }))
  device.dispose()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const at = (name: string) => join(folder, name)
async function train(...args: string[]) {
  const terminal = createMemoryTerminal({ input: '' })
  const status = await runCli(['train', at('corpus'), '-m', modelPath, '-t', '2', ...args], terminal)
  return { status, ...terminal.written }
}

describe('hass train', () => {
  it('trains, says what it does, and leaves a head and a report', async () => {
    const { status, output, errors } = await train('-o', at('run'), '-r', at('recipe.json'))
    expect(errors).toMatch(/^beginning 8 steps\nphase 1: one step\nstep 0: τ \d\.\d{3}.*best so far\n/)
    expect(errors).toContain('phase 2: two steps')
    expect(status).toBe(0)
    expect(output).toBe(`The best head is in ${at('run/best')}, the report in ${at('run/report.html')}.\n`)
    expect(await readFile(at('run/report.html'), 'utf8')).toContain('8 of 8')
    expect(JSON.parse(await readFile(at('run/best/config.json'), 'utf8'))).toMatchObject({ draft_vocab_size: 24 })
  })

  it('ends after its time, and goes on with --resume, as JSON if asked', async () => {
    const flags = ['-o', at('timed'), '-r', at('recipe.json'), '--json']
    const eventsOf = (output: string) =>
      output
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    const first = await train(...flags, '--max-minutes', '1e-9')
    expect(eventsOf(first.output).at(-1)).toMatchObject({ type: 'finish', reason: 'time', step: 0 })
    const second = await train(...flags, '--resume')
    expect(eventsOf(second.output)[0]).toMatchObject({ type: 'run-start', resumedFrom: 'step-000000000' })
    expect(eventsOf(second.output).at(-1)).toMatchObject({ type: 'finish', reason: 'completed', step: 8 })
    expect(second.errors).toContain('resuming step-000000000, step 0 of 8')
  })

  it.each<[what: string, args: () => string[], code: string, status: number]>([
    ['without a folder', () => ['-r', 'embedded'], 'HASS_ERR_USAGE', 2],
    ['with a number that is none', () => ['-o', at('x'), '--shards', 'many'], 'HASS_ERR_USAGE', 2],
    ['with an unknown recipe', () => ['-o', at('x'), '-r', 'mine'], 'HASS_ERR_RECIPE', 1],
    ['a second time without --resume', () => ['-o', at('run'), '-r', at('recipe.json')], 'HASS_ERR_RUN_EXISTS', 1],
    [
      'with nothing to resume',
      () => ['-o', at('x'), '-r', at('recipe.json'), '--resume'],
      'HASS_ERR_CHECKPOINT_MISSING',
      1,
    ],
    ['from more shards than there are', () => ['-o', at('x'), '--shards', '99'], 'HASS_ERR_CORPUS_MISSING', 1],
    ['with another recipe', () => ['-o', at('run'), '-r', at('other.json'), '--resume'], 'HASS_ERR_RUN_MISMATCH', 1],
  ])('refuses to train %s, in one line', async (_, args, code, expected) => {
    const { status, output, errors } = await train(...args())
    expect(errors).toMatch(new RegExp(`^${code}: .*\n$`))
    expect([status, output]).toEqual([expected, ''])
  })
})
