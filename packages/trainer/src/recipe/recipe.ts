import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { checkNumber, checkOptionKeys, HassError } from '@hass-engine/core'
import { TrainingError } from '../run/errors.js'
import { checkPlan, type TrainingPhase, type TrainingPlan } from '../run/training-plan.js'

/** A phase as a recipe has it: as long as so many optimizer steps, or so many epochs of the data. */
export type RecipePhase = Omit<TrainingPhase, 'steps'> &
  ({ readonly steps: number; readonly epochs?: never } | { readonly epochs: number; readonly steps?: never })

/** Everything about the training of a head that can be decided before there are data. */
export interface TrainingRecipe extends Omit<TrainingPlan, 'phases'> {
  readonly phases: readonly RecipePhase[]
  /** Of the order of batches and of the noise. */
  readonly seed: number
  /** Share of the prompts that are kept to measure with. */
  readonly heldOutShare: number
  /** Tokens that the head may propose, the most frequent of the responses; `null` for the target's whole vocabulary. */
  readonly draftVocabulary: number | null
  /** Rows that the regression of the warm start learns from. */
  readonly warmStartRows: number
  readonly batch: {
    /** Rows of a batch, padding included. */
    readonly maxRows: number
    readonly maxSequences: number
    /** Rows of a sequence; longer ones are cut. */
    readonly maxLength: number
    /** Rows kept before the first that counts; `null` for all. */
    readonly contextRows: number | null
    /** Whether those of prompts count as well. */
    readonly countsPrompts: boolean
  }
  /** Input features get uniform noise of ±(noise · 512 / rows of the sequence). */
  readonly noise: number
  readonly evaluation: {
    readonly everyMinutes: number
    /** Held-out sequences at most. */
    readonly sequences: number
  }
  readonly checkpointMinutes: number
}

const recipeKeys: readonly (keyof TrainingRecipe)[] = [
  'phases',
  'topK',
  'betas',
  'epsilon',
  'weightDecay',
  'clip',
  'seed',
  'heldOutShare',
  'draftVocabulary',
  'warmStartRows',
  'batch',
  'noise',
  'evaluation',
  'checkpointMinutes',
]

const batchKeys: readonly (keyof TrainingRecipe['batch'])[] = [
  'maxRows',
  'maxSequences',
  'maxLength',
  'contextRows',
  'countsPrompts',
]

/**
 * Checks every field of a recipe that came from a file.
 *
 * @param name what messages call it
 * @throws TrainingError `HASS_ERR_RECIPE`
 */
export function parseRecipe(value: unknown, name: string): TrainingRecipe {
  try {
    const recipe = object(value, 'the recipe') as unknown as TrainingRecipe
    checkKeys(recipe, recipeKeys, 'the recipe')
    const { batch, evaluation } = recipe
    checkKeys(object(batch, 'batch'), batchKeys, 'batch')
    checkKeys(object(evaluation, 'evaluation'), ['everyMinutes', 'sequences'], 'evaluation')
    const count = (found: unknown, field: string, min = 1) => checkNumber(found, field, { min, isInteger: true })
    count(recipe.seed, 'seed', 0)
    checkNumber(recipe.heldOutShare, 'heldOutShare', { above: 0, below: 1 })
    if (recipe.draftVocabulary !== null) count(recipe.draftVocabulary, 'draftVocabulary')
    count(recipe.warmStartRows, 'warmStartRows')
    count(batch.maxRows, 'batch.maxRows')
    count(batch.maxSequences, 'batch.maxSequences')
    count(batch.maxLength, 'batch.maxLength', 2)
    if (batch.contextRows !== null) count(batch.contextRows, 'batch.contextRows', 0)
    if (typeof batch.countsPrompts !== 'boolean') throw new Error('batch.countsPrompts is neither true nor false.')
    checkNumber(recipe.noise, 'noise', { min: 0, max: 1 })
    checkNumber(evaluation.everyMinutes, 'evaluation.everyMinutes', { above: 0 })
    count(evaluation.sequences, 'evaluation.sequences')
    checkNumber(recipe.checkpointMinutes, 'checkpointMinutes', { above: 0 })
    if (!Array.isArray(recipe.phases)) throw new Error('phases is no list.')
    // Lengths that the data decide are stood in for; everything else is checked as it will be used.
    checkPlan(planOf(recipe, () => 1))
    return recipe
  } catch (cause) {
    const reason = HassError.isInstance(cause) || cause instanceof Error ? cause.message : String(cause)
    throw new TrainingError('HASS_ERR_RECIPE', `The recipe ${name} cannot be used: ${reason}`, { recipe: name }, cause)
  }
}

/**
 * Reads a recipe from a JSON file.
 *
 * @throws TrainingError `HASS_ERR_RECIPE`
 */
export async function readRecipe(path: string): Promise<TrainingRecipe> {
  const name = basename(path)
  let value: unknown
  try {
    value = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const reason = code === undefined ? 'it is no JSON' : `it cannot be read (${code})`
    throw new TrainingError('HASS_ERR_RECIPE', `The recipe ${name} cannot be used: ${reason}.`, { path }, cause)
  }
  return parseRecipe(value, name)
}

/**
 * A recipe's plan for given data.
 *
 * @param numBatches of an epoch
 */
export function planOf(recipe: TrainingRecipe, numBatches: (epoch: number) => number): TrainingPlan {
  const { topK, betas, epsilon, weightDecay, clip } = recipe
  let firstEpoch = 0
  const phases = recipe.phases.map(({ steps, epochs, ...phase }): TrainingPhase => {
    if (steps !== undefined) return { ...phase, steps }
    checkNumber(epochs, `epochs of phase ${phase.name}`, { min: 1, isInteger: true })
    let batches = 0
    for (let i = 0; i < epochs; i++) batches += numBatches(firstEpoch + i)
    firstEpoch += epochs
    return { ...phase, steps: Math.ceil(batches / phase.accumulation) }
  })
  return { phases, topK, betas, epsilon, weightDecay, clip }
}

function object(value: unknown, name: string): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new Error(`${name} is no object.`)
}

/** None unknown, none missing. */
function checkKeys(value: object, keys: readonly string[], name: string): void {
  checkOptionKeys(value, keys, name)
  const missing = keys.filter((key) => !(key in value))
  if (missing.length > 0) throw new Error(`${name} lacks ${missing.join(', ')}.`)
}
