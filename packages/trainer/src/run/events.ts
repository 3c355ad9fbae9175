import type { HassError } from '@hass-engine/core'
import type { StepLosses, TrainerState } from '../head-trainer.js'
import type { TrainingPlan } from './training-plan.js'

/** What an evaluation measured. */
export interface Evaluation {
  /** τ on held-out sequences: emitted tokens per pass of the target. The head with the highest is the best one. */
  readonly acceptanceLength: number
  /** Other figures by name, for the log and the report. */
  readonly [figure: string]: number
}

/** The first event: what is trained, and from where on. */
export interface RunStartEvent {
  readonly type: 'run-start'
  /** Optimizer steps made before. */
  readonly step: number
  readonly totalSteps: number
  readonly plan: TrainingPlan
  readonly settings: Readonly<Record<string, unknown>>
  readonly facts?: Readonly<Record<string, unknown>>
  /** The name of the checkpoint that was resumed; absent for a new run. */
  readonly resumedFrom?: string
  /** Checkpoints that were newer and damaged: they were set aside. */
  readonly skipped: readonly HassError[]
}

export interface PhaseStartEvent {
  readonly type: 'phase-start'
  readonly step: number
  /** Number of the phase, from 0. */
  readonly phase: number
  readonly name: string
}

export interface StepEndEvent {
  readonly type: 'step-end'
  /** Optimizer steps made, this one included. */
  readonly step: number
  readonly phase: number
  /** Epoch of the step's first batch. */
  readonly epoch: number
  readonly learningRate: number
  /** By alignment step, means over the batches of the step. */
  readonly losses: readonly StepLosses[]
  readonly gradientNorm: number
  readonly clippedShare: number
  /** Rows of the step's batches, padding included. */
  readonly rows: number
  readonly maskedRows: number
  readonly ms: number
}

export interface EpochEndEvent {
  readonly type: 'epoch-end'
  readonly step: number
  readonly epoch: number
}

export interface CheckpointSavedEvent {
  readonly type: 'checkpoint-saved'
  readonly step: number
  readonly name: string
  readonly ms: number
}

/** A checkpoint could not be saved; the run goes on, and the next one may succeed. */
export interface CheckpointFailedEvent {
  readonly type: 'checkpoint-failed'
  readonly step: number
  readonly error: HassError
}

export interface EvaluatedEvent {
  readonly type: 'evaluated'
  readonly step: number
  readonly evaluation: Evaluation
  /** Whether no earlier head of the run accepted more. */
  readonly isBest: boolean
  readonly ms: number
  /** What was evaluated: to export it. Not part of the log. */
  readonly parameters: TrainerState['parameters']
}

/** The last event. */
export interface FinishEvent {
  readonly type: 'finish'
  readonly step: number
  /** `aborted`: by the signal. `time`: `maxMinutes` are over. Both may be resumed. */
  readonly reason: 'completed' | 'aborted' | 'time'
  /** Of all sittings. */
  readonly elapsedMs: number
}

export type TrainingEvent =
  | RunStartEvent
  | PhaseStartEvent
  | StepEndEvent
  | EpochEndEvent
  | CheckpointSavedEvent
  | CheckpointFailedEvent
  | EvaluatedEvent
  | FinishEvent
