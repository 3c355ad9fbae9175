import type { CheckpointFileSystem } from '../checkpoint/file-system.js'
import type { HeadTrainer, TrainerState } from '../head-trainer.js'
import type { Evaluation } from './events.js'
import type { Interval } from './interval.js'
import type { TrainingData } from './training-data.js'
import type { TrainingPhase, TrainingPlan } from './training-plan.js'

export interface TrainHeadOptions {
  /** Of the run: checkpoints, log and lock are kept in it. Created if it is not there. */
  readonly folder: string
  readonly plan: TrainingPlan
  readonly data: TrainingData
  /** SHA-256 of the data: a run goes on with the same only. */
  readonly dataSha256: string
  /** Whatever else decides the numbers (seed, batch sizes, target), as JSON; compared when a run goes on. */
  readonly settings: Readonly<Record<string, unknown>>
  /** Facts for the log and the report, which decide nothing. Defaults to none. */
  readonly facts?: Readonly<Record<string, unknown>>
  /** Creates a trainer with a phase's objective, with the head's first parameters; called once a phase. */
  createTrainer(phase: TrainingPhase): Promise<HeadTrainer>
  /** Measures a head on what was held out. Defaults to none. */
  evaluate?(head: EvaluatedHead): Promise<Evaluation>
  /** Besides at the beginning and at the end of each phase. Defaults to 30 minutes. */
  readonly evaluateEvery?: Interval
  /** Besides at the beginning and at the end of each phase. Defaults to 10 minutes. */
  readonly checkpointEvery?: Interval
  /** Newest checkpoints that stay. Defaults to 3. */
  readonly keepCheckpoints?: number
  /** Goes on from the newest whole checkpoint of the folder. Defaults to false: a new run. */
  readonly resume?: boolean
  /** The sitting ends after so long, with a checkpoint. Defaults to no limit. */
  readonly maxMinutes?: number
  /** Ends the sitting after the current step, with a checkpoint. */
  readonly signal?: AbortSignal
  /** Stands in for `node:fs/promises` where checkpoints are written. Defaults to that. */
  readonly fileSystem?: CheckpointFileSystem
}

export interface EvaluatedHead {
  readonly step: number
  readonly parameters: TrainerState['parameters']
}

export const trainHeadOptionKeys: readonly (keyof TrainHeadOptions)[] = [
  'folder',
  'plan',
  'data',
  'dataSha256',
  'settings',
  'facts',
  'createTrainer',
  'evaluate',
  'evaluateEvery',
  'checkpointEvery',
  'keepCheckpoints',
  'resume',
  'maxMinutes',
  'signal',
  'fileSystem',
]
