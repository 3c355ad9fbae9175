import { readFile } from 'node:fs/promises'
import { checkOptionKeys, type Token } from '@hass-engine/core'
import type { Device } from '@hass-engine/kernels'
import { type OpenedModel, writeAtomically } from '@hass-engine/weights'
import { findCheckpoint } from '../checkpoint/load-checkpoint.js'
import { type Corpus, openCorpus } from '../corpus/open-corpus.js'
import { identifyTarget } from '../corpus/target-identity.js'
import { createHeadTrainer } from '../create-head-trainer.js'
import { createDataset, type Dataset } from '../dataset/dataset.js'
import { createDraftVocabulary, type DraftVocabulary } from '../dataset/draft-vocabulary.js'
import { exportHead } from '../export/export-head.js'
import { type HeadParameters, readHeadParameters } from '../export/head-parameters.js'
import { readTrainerInputs } from '../export/trainer-inputs.js'
import type { EvaluatedEvent, TrainingEvent } from '../run/events.js'
import { holdsRun, runPlaces } from '../run/run-places.js'
import { trainHead } from '../run/train-head.js'
import { headRecipeOf } from '../run/training-plan.js'
import { createWarmStart } from '../warm-start/warm-start.js'
import { HeadEvaluator } from './head-evaluator.js'
import { planOf, type TrainingRecipe } from './recipe.js'

export interface TrainFromRecipeOptions {
  /** Of the run. Its best head so far is exported to `best` in it, and shown by `report.html`. */
  readonly folder: string
  readonly recipe: TrainingRecipe
  /** Folder of a corpus of the target's, complete or growing. */
  readonly corpus: string
  /** The corpus's first shards to learn from. Defaults to those that the run began with; for a new run, to all. */
  readonly shards?: number
  readonly target: OpenedModel
  readonly device: Device
  /** A head to begin a new run with, as `openModel` gives it. Defaults to `createWarmStart`. */
  readonly start?: OpenedModel
  /** As in `trainHead`. */
  readonly resume?: boolean
  readonly maxMinutes?: number
  readonly signal?: AbortSignal
}

const optionKeys: readonly (keyof TrainFromRecipeOptions)[] = [
  'folder',
  'recipe',
  'corpus',
  'shards',
  'target',
  'device',
  'start',
  'resume',
  'maxMinutes',
  'signal',
]

/**
 * Trains a head for a target from a corpus and a recipe: draft vocabulary, warm start, phases, evaluation on held-out
 * responses, and export of the best head as it improves. Resumable as `trainHead` is.
 *
 * @throws what `trainHead` and `openCorpus` throw
 */
export async function* trainFromRecipe(
  options: TrainFromRecipeOptions,
): AsyncGenerator<TrainingEvent, void, undefined> {
  checkOptionKeys(options, optionKeys, 'trainFromRecipe')
  const { folder, recipe, target, device, resume = false, maxMinutes, signal } = options
  const places = runPlaces(folder)
  const isResumed = resume && (await holdsRun(folder))
  const shards = options.shards ?? (isResumed ? await readShards(places.notes) : undefined)
  const corpus = await openCorpus(options.corpus, {
    target: await identifyTarget(target),
    ...(shards !== undefined && { shards }),
  })
  const data = prepareData(corpus, recipe)
  const vocabulary = data.vocabulary?.ids
  const parameters = isResumed
    ? (await findCheckpoint(places.checkpoints)).state.parameters
    : await firstParameters(options, data.plain)
  const plan = planOf(recipe, (epoch) => data.train.numBatches(epoch))
  const inputs = await readTrainerInputs({ target, parameters, ...(vocabulary && { draftVocabulary: vocabulary }) })
  await using evaluator = await HeadEvaluator.create({
    device,
    target,
    corpus,
    sequences: data.heldOut.corpusSequences,
    maxSequences: recipe.evaluation.sequences,
    ...(vocabulary && { draftVocabulary: vocabulary }),
  })
  const run = trainHead({
    folder,
    plan,
    data: data.train,
    dataSha256: corpus.sha256,
    settings: settingsOf(recipe),
    facts: factsOf(corpus, data),
    createTrainer: (phase) =>
      createHeadTrainer({
        ...inputs,
        device,
        recipe: headRecipeOf(plan, phase),
        maxSequences: recipe.batch.maxSequences,
        maxPositions: Math.max(recipe.batch.maxLength, 2),
      }),
    evaluate: (head) => evaluator.evaluate(head.parameters, signal),
    evaluateEvery: { minutes: recipe.evaluation.everyMinutes },
    checkpointEvery: { minutes: recipe.checkpointMinutes },
    resume,
    ...(maxMinutes !== undefined && { maxMinutes }),
    ...(signal && { signal }),
  })
  for await (const event of run) {
    if (event.type === 'run-start') await writeShards(places.notes, corpus.shards.length)
    if (event.type === 'evaluated' && event.isBest) await exportBest(event, places.best, target, vocabulary)
    yield event
  }
}

async function firstParameters(
  { device, target, start, recipe, signal }: TrainFromRecipeOptions,
  dataset: Dataset,
): Promise<HeadParameters> {
  if (start) return readHeadParameters(start)
  const rows = recipe.warmStartRows
  return (await createWarmStart({ device, target, dataset, rows, ...(signal && { signal }) })).parameters
}

interface RecipeData {
  readonly train: Dataset
  /** The same without noise: what a regression learns from. */
  readonly plain: Dataset
  readonly heldOut: Dataset
  readonly vocabulary: DraftVocabulary | undefined
}

function prepareData(corpus: Corpus, recipe: TrainingRecipe): RecipeData {
  const { seed, heldOutShare, batch, noise, draftVocabulary } = recipe
  const { contextRows, ...sizes } = batch
  const shared = { corpus, seed, heldOutShare, ...sizes, ...(contextRows !== null && { contextRows }) }
  const plain = createDataset({ ...shared, noise: 0 })
  const sequences = plain.corpusSequences
  const vocabulary =
    draftVocabulary === null
      ? undefined
      : createDraftVocabulary({ corpus, size: draftVocabulary, always: endTokensOf(corpus), sequences })
  return {
    plain,
    train: createDataset({ ...shared, noise, ...(vocabulary && { draftVocabulary: vocabulary.ids }) }),
    heldOut: createDataset({ ...shared, split: 'held-out', noise: 0 }),
    vocabulary,
  }
}

/** What ends a response has to be in every draft vocabulary, however rare it is: a corpus says what does. */
function endTokensOf({ manifest }: Corpus): readonly Token[] {
  const { endTokens } = manifest.settings
  return Array.isArray(endTokens) ? endTokens : []
}

/** What of a recipe decides the numbers, besides the plan. */
function settingsOf({ seed, heldOutShare, draftVocabulary, warmStartRows, batch, noise }: TrainingRecipe) {
  return { seed, heldOutShare, draftVocabulary, warmStartRows, batch, noise }
}

function factsOf(corpus: Corpus, { train, heldOut, vocabulary }: RecipeData) {
  const sum = (of: (shard: Corpus['shards'][number]) => number) =>
    corpus.shards.reduce((total, one) => total + of(one), 0)
  return {
    shards: corpus.shards.length,
    sequences: train.size,
    heldOutSequences: heldOut.size,
    tokens: sum(({ tokens }) => tokens),
    responseTokens: sum(({ responseTokens }) => responseTokens),
    batchesPerEpoch: train.numBatches(0),
    ...(vocabulary && { draftVocabularyCoverage: vocabulary.coverage.share }),
  }
}

async function exportBest(
  { step, evaluation, parameters }: EvaluatedEvent,
  folder: string,
  target: OpenedModel,
  draftVocabulary: Uint32Array | undefined,
): Promise<void> {
  const metadata = { step: String(step), acceptance_length: evaluation.acceptanceLength.toFixed(3) }
  await exportHead({ folder, target, parameters, metadata, ...(draftVocabulary && { draftVocabulary }) })
}

/** Later sittings learn from the shards of the first, though the corpus has grown. */
async function readShards(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as { shards: number }).shards
}

async function writeShards(path: string, shards: number): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify({ shards })}\n`)
  await writeAtomically([{ path, write: (append) => append(bytes) }])
}
