// npm run bench:alignment -- --corpus DIR [--start HEAD] [--steps N] [--recipe FILE] [--sequences N] [--folder DIR] [--json]
// HASS's own claim: two heads from the same start on equal data, batches and steps, with one alignment step (EAGLE-2's
// training) and with three; then τ of both on held-out responses, and the gain with its 95 % interval over prompts.
import { createHash } from 'node:crypto'
import { cpus, homedir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { dynamicTree } from '@hass-engine/draft-tree'
import { openDevice } from '@hass-engine/kernels'
import { createDraftHead, createTargetModel } from '@hass-engine/models'
import { openModel } from '@hass-engine/weights'
import { modelPath } from '../../smollm2-135m-instruct/index.js'
import {
  compareAcceptance,
  createDataset,
  createDraftVocabulary,
  createHeadModel,
  findCheckpoint,
  holdsRun,
  identifyTarget,
  openCorpus,
  readRecipe,
  recipes,
  replayResponses,
  runPlaces,
  summarizeSetting,
  trainFromRecipe,
} from '../dist/index.js'

const { values: options } = parseArgs({
  options: {
    corpus: { type: 'string' },
    model: { type: 'string', default: modelPath },
    recipe: { type: 'string' },
    start: { type: 'string' },
    steps: { type: 'string', default: '1500' },
    sequences: { type: 'string', default: '200' },
    folder: { type: 'string' },
    threads: { type: 'string', default: String(cpus().length) },
    json: { type: 'boolean', default: false },
  },
})
if (!options.corpus) {
  console.error('Name the folder of a corpus with --corpus; "hass corpus" makes one.')
  process.exit(2)
}

const device = openDevice({ kind: 'auto', threads: Number(options.threads) })
const target = await openModel(options.model)
const start = options.start === undefined ? undefined : await openModel(options.start)
const base = options.recipe ? await readRecipe(options.recipe) : recipes.embedded
const shape = base.phases.at(-1)

/** One phase, in which the two heads differ in nothing but the alignment steps. */
const recipeOf = (alignmentSteps) => ({
  ...base,
  phases: [{ ...shape, name: `${alignmentSteps} alignment steps`, steps: Number(options.steps), alignmentSteps }],
  evaluation: { ...base.evaluation, everyMinutes: 100_000, sequences: 8 },
})

const corpus = await openCorpus(options.corpus, { target: await identifyTarget(target) })
const heads = { 1: await trainedHead(1), 3: await trainedHead(3) }
const rows = await measure()
await print()
device.dispose()

/** Trains a head, or goes on with it, or takes the one that an earlier call has finished. */
async function trainedHead(alignmentSteps) {
  const recipe = recipeOf(alignmentSteps)
  const key = createHash('sha256')
    .update(JSON.stringify([recipe, corpus.sha256, options.start ?? null]))
    .digest('hex')
    .slice(0, 12)
  const cache = options.folder ?? join(homedir(), '.cache', 'hass-engine', 'alignment')
  const folder = join(cache, `steps-${alignmentSteps}-${key}`)
  const resume = await holdsRun(folder)
  const shards = corpus.shards.length
  let minutes = 0
  for await (const event of trainFromRecipe({
    folder,
    recipe,
    corpus: options.corpus,
    shards,
    target,
    device,
    resume,
    ...(start && { start }),
  })) {
    if (event.type === 'step-end' && event.step % 100 === 0) {
      console.error(`alignment ${alignmentSteps}: step ${event.step}, loss ${event.losses[0].total.toFixed(3)}`)
    }
    if (event.type === 'finish') minutes = event.elapsedMs / 60_000
  }
  const { state } = await findCheckpoint(runPlaces(folder).checkpoints)
  return { parameters: state.parameters, minutes }
}

async function measure() {
  const { corpusSequences } = createDataset({
    corpus,
    seed: base.seed,
    split: 'held-out',
    heldOutShare: base.heldOutShare,
    noise: 0,
  })
  const draftVocabulary = vocabularyOf()
  const longest = Math.max(...corpus.sequences.map(({ tokens }) => tokens.length)) + 256
  const deviceTarget = await createTargetModel({ device, model: target, cacheTokens: longest })
  const found = []
  for (const temperature of [0, 1]) {
    const sequences = [...corpusSequences]
      .filter((index) => (corpus.sequences[index].temperature ?? 0) === temperature)
      .slice(0, Number(options.sequences))
    if (sequences.length === 0) continue
    const isCoupled = temperature > 0
    const counts = {}
    for (const alignmentSteps of [1, 3]) {
      // As training left it: the best one that was exported may be of another step.
      const { parameters } = heads[alignmentSteps]
      const model = createHeadModel({ target, parameters, ...(draftVocabulary && { draftVocabulary }) })
      const draft = await createDraftHead({ device, target: deviceTarget, model, cacheTokens: 16 * longest })
      counts[alignmentSteps] = await replayResponses({
        corpus,
        sequences,
        draft,
        policy: dynamicTree(),
        coupled: isCoupled,
      })
      draft.dispose()
    }
    const setting = { name: 'dynamic tree, 59 nodes', temperature, isCoupled }
    const lengths = [1, 3].map((steps) => summarizeSetting(setting, counts[steps]).acceptanceLength)
    found.push({
      temperature,
      isCoupled,
      prompts: sequences.length,
      lengths,
      gain: compareAcceptance(counts[1], counts[3]),
    })
  }
  deviceTarget.dispose()
  return found
}

/** The one that both were trained with. */
function vocabularyOf() {
  const { seed, heldOutShare, batch, draftVocabulary: size } = base
  if (size === null) return undefined
  const { contextRows, ...sizes } = batch
  const train = createDataset({
    corpus,
    seed,
    heldOutShare,
    ...sizes,
    ...(contextRows !== null && { contextRows }),
    noise: 0,
  })
  const always = corpus.manifest.settings.endTokens ?? []
  return createDraftVocabulary({ corpus, size, always, sequences: train.corpusSequences }).ids
}

function print() {
  const responseTokens = corpus.shards.reduce((sum, shard) => sum + shard.responseTokens, 0)
  const facts = {
    processor: cpus()[0].model,
    threads: Number(options.threads),
    steps: Number(options.steps),
    responseTokens,
    minutes: [heads[1].minutes, heads[3].minutes],
  }
  if (options.json) return console.log(JSON.stringify({ facts, rows }))
  console.log(
    `${facts.processor}, ${facts.threads} threads; ${facts.steps} steps on ${responseTokens} response tokens;`,
  )
  console.log(
    `${facts.minutes.map((minutes) => minutes.toFixed(1)).join(' and ')} minutes of training. τ with dynamic trees of 59 nodes, 95 % intervals over prompts:`,
  )
  const shown = ({ value, low, high }, digits) =>
    `${value.toFixed(digits)} (${low.toFixed(digits)} – ${high.toFixed(digits)})`
  for (const { temperature, isCoupled, prompts, lengths, gain } of rows) {
    const rule = isCoupled ? ', coupled' : ''
    console.log(
      `T=${temperature}${rule}, ${prompts} held-out prompts: 1 alignment step ${shown(lengths[0], 3)}, 3 alignment steps ${shown(lengths[1], 3)}, gain ×${shown(gain, 3)}`,
    )
  }
}
