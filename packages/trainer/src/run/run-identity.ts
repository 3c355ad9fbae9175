import type { RunIdentity, RunPosition } from '../checkpoint/manifest.js'
import { TrainingError } from './errors.js'
import type { TrainingPlan } from './training-plan.js'

/** A value as JSON has it. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue }

/** What a run's settings are compared as. */
export interface RunSettings {
  readonly plan: TrainingPlan
  /** Whatever else decides the numbers: seeds, batch sizes, the target. */
  readonly [name: string]: unknown
}

export interface SettingDifference {
  /** Where in the settings: `plan.phases[0].learningRate`. */
  readonly path: string
  /** As JSON; absent where there was none. */
  readonly recorded?: string
  readonly given?: string
}

/**
 * Refuses to go on with anything else than what a run was begun with. Phases may be appended; a run that has finished
 * all of its own may go on with them on other data.
 *
 * @returns whether the data are others than before
 * @throws TrainingError `HASS_ERR_RUN_MISMATCH`, whose details hold the differences
 */
export function checkIdentity(
  recorded: RunIdentity,
  given: RunIdentity,
  position: RunPosition,
): { isNewData: boolean } {
  const { plan } = recorded.settings as RunSettings
  const current = given.settings as RunSettings
  const ownPhases = plan.phases.length
  const isExtended = current.plan.phases.length > ownPhases
  const comparable = isExtended
    ? { ...current, plan: { ...current.plan, phases: current.plan.phases.slice(0, ownPhases) } }
    : current
  const differences = differencesOf(recorded.settings, comparable)
  const isNewData = recorded.data !== given.data
  const isFinished = position.phase === ownPhases - 1 && position.phaseStep === plan.phases[position.phase]!.steps
  if (isNewData && !(isExtended && isFinished)) {
    differences.push({ path: 'data', recorded: recorded.data, given: given.data })
  }
  if (differences.length === 0) return { isNewData }
  const shown = differences.map(
    ({ path, recorded: before = 'absent', given: now = 'absent' }) => `${path} was ${before}, is ${now}`,
  )
  throw new TrainingError(
    'HASS_ERR_RUN_MISMATCH',
    `The run was begun with other settings: ${shown.join('; ')}. Give the same ones, append a phase, or start a new run in another folder.`,
    { differences },
  )
}

function differencesOf(recorded: unknown, given: unknown): SettingDifference[] {
  const before = new Map(leavesOf(recorded, ''))
  const now = new Map(leavesOf(given, ''))
  const paths = [...new Set([...before.keys(), ...now.keys()])]
  return paths
    .filter((path) => before.get(path) !== now.get(path))
    .map((path) => {
      const [was, is] = [before.get(path), now.get(path)]
      return { path, ...(was !== undefined && { recorded: was }), ...(is !== undefined && { given: is }) }
    })
}

function leavesOf(value: unknown, path: string): [path: string, json: string][] {
  if (value === undefined) return []
  if (typeof value !== 'object' || value === null) return [[path, JSON.stringify(value)]]
  const leaves = Array.isArray(value)
    ? value.flatMap((item, index) => leavesOf(item, `${path}[${index}]`))
    : Object.entries(value).flatMap(([key, field]) => leavesOf(field, path === '' ? key : `${path}.${key}`))
  return leaves.length > 0 ? leaves : [[path, JSON.stringify(value)]]
}
