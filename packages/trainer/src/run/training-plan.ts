import { checkNumber, checkOptionKeys, InvalidArgumentError } from '@hass-engine/core'
import { completeRecipe, type HeadRecipe } from '../recipe.js'

/** How a learning rate falls after its warm-up: to zero at the end of the phase, or not at all. */
export type Schedule = 'linear' | 'cosine' | 'constant'

/** A stretch of a run with one objective and one schedule; the optimizer begins each anew. */
export interface TrainingPhase {
  readonly name: string
  /** Optimizer steps. */
  readonly steps: number
  /** n of harmonized context alignment (HASS, section 3.2). */
  readonly alignmentSteps: number
  /** The highest of the phase. */
  readonly learningRate: number
  readonly schedule: Schedule
  /** Share of the steps over which the learning rate rises linearly from zero. */
  readonly warmupShare: number
  /** Batches whose gradients make one step. */
  readonly accumulation: number
  /** Of the three losses (HASS, section 3.1). */
  readonly weights: { readonly feature: number; readonly token: number; readonly topK: number }
}

/** Everything that decides a run's numbers besides its data, its first parameters and its device. */
export interface TrainingPlan {
  readonly phases: readonly TrainingPhase[]
  /** K of the top-K loss. */
  readonly topK: number
  /** Of AdamW. */
  readonly betas: readonly [first: number, second: number]
  readonly epsilon: number
  readonly weightDecay: number
  /** Gradients are cut to ± this, element by element. */
  readonly clip: number
}

const schedules: readonly Schedule[] = ['linear', 'cosine', 'constant']

const phaseKeys: readonly (keyof TrainingPhase)[] = [
  'name',
  'steps',
  'alignmentSteps',
  'learningRate',
  'schedule',
  'warmupShare',
  'accumulation',
  'weights',
]

const planKeys: readonly (keyof TrainingPlan)[] = ['phases', 'topK', 'betas', 'epsilon', 'weightDecay', 'clip']

/**
 * Checks every field of a plan.
 *
 * @throws InvalidArgumentError
 */
export function checkPlan(plan: TrainingPlan): void {
  checkOptionKeys(plan, planKeys, 'a training plan')
  const { phases } = plan
  if (phases.length === 0) throw new InvalidArgumentError('A training plan has no phases, expected one at least.')
  for (const [index, phase] of phases.entries()) checkPhase(plan, phase, `phases[${index}]`)
}

function checkPhase(plan: TrainingPlan, phase: TrainingPhase, where: string): void {
  checkOptionKeys(phase, phaseKeys, where)
  checkNumber(phase.steps, `${where}.steps`, { min: 1, isInteger: true })
  checkNumber(phase.learningRate, `${where}.learningRate`, { min: 0, max: 1 })
  checkNumber(phase.warmupShare, `${where}.warmupShare`, { min: 0, max: 1 })
  checkNumber(phase.accumulation, `${where}.accumulation`, { min: 1, isInteger: true })
  for (const loss of ['feature', 'token', 'topK'] as const) {
    checkNumber(phase.weights?.[loss], `${where}.weights.${loss}`, { min: 0, below: Infinity })
  }
  completeRecipe(headRecipeOf(plan, phase))
  if (!schedules.includes(phase.schedule)) {
    throw new InvalidArgumentError(
      `${where}.schedule is ${String(phase.schedule).slice(0, 40)}, expected ${schedules.join(', ')}.`,
      { found: phase.schedule, expected: schedules },
    )
  }
  if (typeof phase.name !== 'string' || phase.name === '') {
    throw new InvalidArgumentError(`${where}.name is missing: phases are known by their names.`)
  }
}

/** What a trainer has to know of a phase. */
export function headRecipeOf(
  { phases: _, ...plan }: TrainingPlan,
  { alignmentSteps, weights }: TrainingPhase,
): HeadRecipe {
  return { ...plan, alignmentSteps, weights }
}

/**
 * The learning rate of a phase's step: up from zero over the warm-up, then down to zero behind the last step.
 *
 * @param step of the phase, from 0
 */
export function learningRateAt(phase: TrainingPhase, step: number): number {
  const { steps, learningRate, schedule, warmupShare } = phase
  const warmup = Math.ceil(steps * warmupShare)
  if (step < warmup) return (learningRate * (step + 1)) / warmup
  const done = (step - warmup) / (steps - warmup)
  if (schedule === 'linear') return learningRate * (1 - done)
  if (schedule === 'cosine') return (learningRate * (1 + Math.cos(Math.PI * done))) / 2
  return learningRate
}

/** Optimizer steps of the whole plan. */
export function totalSteps({ phases }: TrainingPlan): number {
  return phases.reduce((sum, { steps }) => sum + steps, 0)
}
