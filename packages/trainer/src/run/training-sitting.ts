import type { FoundCheckpoint } from '../checkpoint/load-checkpoint.js'
import { checkpointName, type RunHistory, type RunPosition } from '../checkpoint/manifest.js'
import { saveCheckpoint } from '../checkpoint/save-checkpoint.js'
import type { HeadTrainer, StepLosses, TrainerState } from '../head-trainer.js'
import { BatchReader } from './batch-reader.js'
import { checkState, inStep } from './check-finite.js'
import { TrainingError } from './errors.js'
import type {
  CheckpointFailedEvent,
  CheckpointSavedEvent,
  EvaluatedEvent,
  FinishEvent,
  StepEndEvent,
  TrainingEvent,
} from './events.js'
import { IntervalTimer } from './interval.js'
import type { RunLog } from './run-log.js'
import { runPlaces } from './run-places.js'
import type { TrainHeadOptions } from './train-head-options.js'
import { learningRateAt, type TrainingPhase, totalSteps } from './training-plan.js'

/** Where a sitting begins. */
export interface SittingStart {
  readonly found: FoundCheckpoint | undefined
  readonly position: RunPosition
}

/** One process's share of a run: the loop over phases and steps. */
export class TrainingSitting implements AsyncDisposable {
  readonly #options: TrainHeadOptions
  readonly #log: RunLog
  readonly #found: FoundCheckpoint | undefined
  readonly #batches: BatchReader
  readonly #startMs = performance.now()
  readonly #elapsedBefore: number
  readonly #checkpointTimer: IntervalTimer
  readonly #evaluationTimer: IntervalTimer
  #trainer: HeadTrainer | undefined
  #phase: number
  #phaseStep: number
  #step: number
  /** Of the newest checkpoint; -1 before the first. */
  #savedStep: number
  #best: RunHistory['best']

  constructor(options: TrainHeadOptions, log: RunLog, { found, position }: SittingStart) {
    this.#options = options
    this.#log = log
    this.#found = found
    const { step, phase, phaseStep, epoch, batch } = position
    this.#step = step
    this.#phase = phase
    this.#phaseStep = phaseStep
    this.#savedStep = found ? step : -1
    this.#batches = new BatchReader(options.data, { epoch, batch })
    this.#elapsedBefore = found?.manifest.history.elapsedMs ?? 0
    this.#best = found?.manifest.history.best
    this.#checkpointTimer = new IntervalTimer(options.checkpointEvery ?? { minutes: 10 }, 'checkpointEvery', step)
    this.#evaluationTimer = new IntervalTimer(options.evaluateEvery ?? { minutes: 30 }, 'evaluateEvery', step)
  }

  async *events(): AsyncGenerator<TrainingEvent, void, undefined> {
    const { plan, settings, facts } = this.#options
    yield {
      type: 'run-start',
      step: this.#step,
      totalSteps: totalSteps(plan),
      plan,
      settings,
      ...(facts && { facts }),
      ...(this.#found && { resumedFrom: this.#found.name }),
      skipped: this.#found?.skipped ?? [],
    }
    let state = this.#found?.state
    for (;;) {
      const phase = plan.phases[this.#phase]!
      if (this.#phaseStep < phase.steps) {
        yield* this.#beginPhase(phase, state)
        const reason = yield* this.#runPhase(phase)
        if (reason) return yield this.#finish(reason)
      }
      if (this.#phase === plan.phases.length - 1) return yield this.#finish('completed')
      state = this.#trainer ? await this.#trainer.readState() : state
      this.#phase += 1
      this.#phaseStep = 0
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#trainer?.[Symbol.asyncDispose]()
  }

  /** @param state what was reached before; undefined at the very beginning */
  async *#beginPhase(phase: TrainingPhase, state: TrainerState | undefined): AsyncGenerator<TrainingEvent, void> {
    await this.#trainer?.[Symbol.asyncDispose]()
    this.#trainer = await this.#options.createTrainer(phase)
    if (state) await this.#trainer.writeState(this.#phaseStep > 0 ? state : forgetMoments(state))
    yield { type: 'phase-start', step: this.#step, phase: this.#phase, name: phase.name }
    if (this.#step > 0 || this.#found) return
    yield* this.#evaluate()
    yield* this.#save({ isLast: true })
  }

  async *#runPhase(
    phase: TrainingPhase,
  ): AsyncGenerator<TrainingEvent, Exclude<FinishEvent['reason'], 'completed'> | undefined> {
    while (this.#phaseStep < phase.steps) {
      const reason = this.#reasonToStop()
      if (reason) {
        yield* this.#save({ isLast: true })
        return reason
      }
      const event = await this.#makeStep(phase)
      yield event
      if (this.#batches.cursor.epoch > event.epoch) yield { type: 'epoch-end', step: this.#step, epoch: event.epoch }
      const isEnd = this.#phaseStep === phase.steps
      if (isEnd || this.#evaluationTimer.isOver(this.#step)) yield* this.#evaluate()
      if (isEnd || this.#checkpointTimer.isOver(this.#step)) yield* this.#save({ isLast: isEnd })
    }
    return undefined
  }

  async #makeStep(phase: TrainingPhase): Promise<StepEndEvent> {
    const startedAt = performance.now()
    const number = this.#step + 1
    const { epoch } = this.#batches.cursor
    const losses: StepLosses[][] = []
    let rows = 0
    let maskedRows = 0
    for (let i = 0; i < phase.accumulation; i++) {
      const batch = await this.#batches.read()
      rows += batch.sequences * batch.positions
      maskedRows += batch.lossMask.reduce((sum, counts) => sum + counts, 0)
      losses.push(await inStep(number, () => this.#trainer!.accumulate(batch)))
    }
    const learningRate = learningRateAt(phase, this.#phaseStep)
    const facts = await inStep(number, () => this.#trainer!.update({ learningRate }))
    this.#step = number
    this.#phaseStep += 1
    return {
      type: 'step-end',
      step: number,
      phase: this.#phase,
      epoch,
      learningRate,
      losses: meanLosses(losses),
      ...facts,
      rows,
      maskedRows,
      ms: performance.now() - startedAt,
    }
  }

  async *#evaluate(): AsyncGenerator<EvaluatedEvent, void> {
    const { evaluate } = this.#options
    if (!evaluate) return
    const startedAt = performance.now()
    const { parameters } = await this.#trainer!.readState()
    const evaluation = await evaluate({ step: this.#step, parameters })
    const isBest = evaluation.acceptanceLength > (this.#best?.acceptanceLength ?? 0)
    if (isBest) this.#best = { step: this.#step, acceptanceLength: evaluation.acceptanceLength }
    this.#evaluationTimer.restart(this.#step)
    yield { type: 'evaluated', step: this.#step, evaluation, isBest, ms: performance.now() - startedAt, parameters }
  }

  /** @param isLast whether nothing may follow without it: then a failure ends the run */
  async *#save({
    isLast,
  }: {
    readonly isLast: boolean
  }): AsyncGenerator<CheckpointSavedEvent | CheckpointFailedEvent, void> {
    if (this.#savedStep === this.#step) return
    const startedAt = performance.now()
    const state = await this.#trainer!.readState()
    checkState(state, this.#step)
    this.#checkpointTimer.restart(this.#step)
    const failure = await this.#write(state).catch((error: unknown) => error)
    if (failure === undefined) {
      this.#savedStep = this.#step
      const name = checkpointName(this.#step)
      yield { type: 'checkpoint-saved', step: this.#step, name, ms: performance.now() - startedAt }
    } else {
      if (isLast || !(failure instanceof TrainingError)) throw failure
      yield { type: 'checkpoint-failed', step: this.#step, error: failure }
    }
  }

  async #write(state: TrainerState): Promise<undefined> {
    const { folder, plan, settings, dataSha256, keepCheckpoints = 3, fileSystem } = this.#options
    await this.#log.sync()
    await saveCheckpoint(
      runPlaces(folder).checkpoints,
      {
        state,
        position: { step: this.#step, phase: this.#phase, phaseStep: this.#phaseStep, ...this.#batches.cursor },
        identity: { settings: { plan, ...settings }, data: dataSha256 },
        history: { elapsedMs: this.#elapsedMs(), logBytes: this.#log.bytes, ...(this.#best && { best: this.#best }) },
      },
      { keep: keepCheckpoints, ...(fileSystem && { fileSystem }) },
    )
  }

  #finish(reason: FinishEvent['reason']): FinishEvent {
    return { type: 'finish', step: this.#step, reason, elapsedMs: this.#elapsedMs() }
  }

  #reasonToStop(): 'aborted' | 'time' | undefined {
    const { signal, maxMinutes = Number.POSITIVE_INFINITY } = this.#options
    if (signal?.aborted) return 'aborted'
    return performance.now() - this.#startMs >= maxMinutes * 60_000 ? 'time' : undefined
  }

  #elapsedMs(): number {
    return this.#elapsedBefore + performance.now() - this.#startMs
  }
}

/** A phase begins with the parameters of the one before and an optimizer of its own. */
function forgetMoments({ parameters }: TrainerState): TrainerState {
  const zeros = () => new Map(Array.from(parameters, ([name, values]) => [name, new Float32Array(values.length)]))
  return { step: 0, parameters, firstMoments: zeros(), secondMoments: zeros() }
}

function meanLosses(batches: readonly (readonly StepLosses[])[]): StepLosses[] {
  return batches[0]!.map((_, index) => {
    const mean = (key: keyof StepLosses) =>
      batches.reduce((sum, losses) => sum + losses[index]![key], 0) / batches.length
    return {
      feature: mean('feature'),
      token: mean('token'),
      topK: mean('topK'),
      total: mean('total'),
      accuracy: mean('accuracy'),
    }
  })
}
