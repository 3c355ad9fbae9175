import { mkdir } from 'node:fs/promises'
import { checkNumber, checkOptionKeys } from '@hass-engine/core'
import { findCheckpoint, listCheckpoints, setAside } from '../checkpoint/load-checkpoint.js'
import { removeTemporaries } from '../checkpoint/save-checkpoint.js'
import { lockFolder } from '../folder-lock.js'
import { TrainingError } from './errors.js'
import type { TrainingEvent } from './events.js'
import { checkIdentity } from './run-identity.js'
import { RunLog } from './run-log.js'
import { runPlaces } from './run-places.js'
import { type TrainHeadOptions, trainHeadOptionKeys } from './train-head-options.js'
import { checkPlan } from './training-plan.js'
import { type SittingStart, TrainingSitting } from './training-sitting.js'

/**
 * Trains a draft head by a plan, in one sitting or several: what happens comes as events, the last of which is `finish`.
 *
 * A run that was killed and resumed, however often, ends with the same parameters bit for bit as one that was not.
 * Nothing happens between two events: whoever iterates may take as long as it likes. Leaving the loop early ends the
 * sitting without a checkpoint; `signal` ends it with one.
 *
 * @throws InvalidArgumentError; TrainingError `HASS_ERR_RUN_EXISTS`, `HASS_ERR_RUN_LOCKED`, `HASS_ERR_RUN_MISMATCH`,
 * `HASS_ERR_CHECKPOINT_MISSING`, `HASS_ERR_CHECKPOINT_CORRUPT`, `HASS_ERR_CHECKPOINT_WRITE`, `HASS_ERR_NON_FINITE`
 */
export async function* trainHead(options: TrainHeadOptions): AsyncGenerator<TrainingEvent, void, undefined> {
  checkOptionKeys(options, trainHeadOptionKeys, 'trainHead')
  checkPlan(options.plan)
  checkNumber(options.keepCheckpoints ?? 3, 'keepCheckpoints', { min: 1, isInteger: true })
  if (options.maxMinutes !== undefined) checkNumber(options.maxMinutes, 'maxMinutes', { above: 0 })
  const { folder } = options
  const places = runPlaces(folder)
  await mkdir(places.checkpoints, { recursive: true })
  await using _lock = await lockFolder(folder, ({ pid, host }) => locked(folder, pid, host))
  await removeTemporaries(places.checkpoints)
  const start = await findStart(options, places.checkpoints)
  const log = await RunLog.open(places.log, start.found?.manifest.history.logBytes ?? 0)
  try {
    await using sitting = new TrainingSitting(options, log, start)
    for await (const event of sitting.events()) {
      await log.append(event)
      yield event
    }
  } catch (error) {
    // What failed matters more than that it could not be noted down.
    await log.append({ type: 'failure', error }).catch(() => {})
    throw error
  } finally {
    await log.close()
  }
}

/** The newest whole checkpoint, if the run is to go on, and the position that it or a new run begins at. */
async function findStart(options: TrainHeadOptions, folder: string): Promise<SittingStart> {
  const { plan, settings, dataSha256 } = options
  if (!options.resume) {
    const [name] = await listCheckpoints(folder)
    if (name === undefined)
      return { found: undefined, position: { step: 0, phase: 0, phaseStep: 0, epoch: 0, batch: 0 } }
    throw new TrainingError(
      'HASS_ERR_RUN_EXISTS',
      `${options.folder} holds a run already (${name}): resume it, or give a new run another folder.`,
      { folder: options.folder, checkpoint: name },
    )
  }
  const found = await findCheckpoint(folder)
  const { position, identity } = found.manifest
  const { isNewData } = checkIdentity(identity, { settings: { plan, ...settings }, data: dataSha256 }, position)
  await setAside(
    folder,
    found.skipped.map(({ details }) => String(details.checkpoint)),
  )
  // Other data have other batches: their first epoch is one that the run has not seen.
  return { found, position: isNewData ? { ...position, epoch: position.epoch + 1, batch: 0 } : position }
}

function locked(folder: string, pid: number, host: string): TrainingError {
  return new TrainingError(
    'HASS_ERR_RUN_LOCKED',
    `Process ${pid} on ${host} trains in ${folder}: wait until it ends, or give this run another folder.`,
    { folder, pid, host },
  )
}
