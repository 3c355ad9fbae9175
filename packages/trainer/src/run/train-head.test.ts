import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { InvalidArgumentError } from '@hass-engine/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findCheckpoint, listCheckpoints } from '../checkpoint/load-checkpoint.js'
import type { TrainerState } from '../head-trainer.js'
import { NonFiniteError } from '../non-finite-error.js'
import { FakeHeadTrainer } from '../testing/fake-head-trainer.js'
import { createFakeTrainingData } from '../testing/fake-training-data.js'
import { hashState, tinyPhase, tinyPlan, tinyRun } from '../testing/tiny-run.js'
import type { TrainingEvent } from './events.js'
import { readLog } from './run-log.js'
import { runPlaces } from './run-places.js'
import { trainHead } from './train-head.js'
import type { TrainHeadOptions } from './train-head-options.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-run-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function eventsOf(options: TrainHeadOptions, stopAfter = Infinity): Promise<TrainingEvent[]> {
  const events: TrainingEvent[] = []
  for await (const event of trainHead(options)) {
    events.push(event)
    if (event.type === 'step-end' && event.step === stopAfter) break
  }
  return events
}

const only = <Type extends TrainingEvent['type']>(events: readonly TrainingEvent[], type: Type) =>
  events.filter((event): event is Extract<TrainingEvent, { type: Type }> => event.type === type)

const finalHash = async (path: string) => hashState((await findCheckpoint(runPlaces(path).checkpoints)).state)

/** The hash that a run without interruptions ends with. */
async function uninterruptedHash(changes: Partial<TrainHeadOptions> = {}): Promise<string> {
  const other = await mkdtemp(join(tmpdir(), 'hass-run-'))
  try {
    await eventsOf(tinyRun(other, changes))
    return await finalHash(other)
  } finally {
    await rm(other, { recursive: true })
  }
}

const refusal = async (run: Promise<unknown>) =>
  run.then(
    () => undefined,
    (error) => error as { code: string; message: string; details: Record<string, unknown> },
  )

describe('trainHead', () => {
  it('goes through phases, epochs and checkpoints, and learns', async () => {
    const events = await eventsOf(tinyRun(folder))
    expect(events[0]).toMatchObject({ type: 'run-start', step: 0, totalSteps: 30, skipped: [] })
    expect(only(events, 'phase-start').map(({ step, name }) => [step, name])).toEqual([
      [0, 'align'],
      [20, 'refine'],
    ])
    const steps = only(events, 'step-end')
    expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1))
    expect(steps[0]!.losses).toHaveLength(2)
    expect(steps[29]!.losses).toHaveLength(3)
    expect(steps[19]!.losses[0]!.total).toBeLessThan(steps[0]!.losses[0]!.total)
    // Fifty batches in epochs of seven; twenty steps take two each.
    expect(only(events, 'epoch-end')).toHaveLength(7)
    expect(only(events, 'checkpoint-saved').map(({ step }) => step)).toEqual([
      0, 3, 6, 9, 12, 15, 18, 20, 23, 26, 29, 30,
    ])
    expect(await listCheckpoints(runPlaces(folder).checkpoints)).toEqual(
      [30, 29, 26].map((step) => `step-0000000${step}`),
    )
    expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'completed', step: 30 })
  })

  it('warms up and decays within each phase', async () => {
    const rates = only(await eventsOf(tinyRun(folder)), 'step-end').map(({ learningRate }) => learningRate)
    expect(rates[0]).toBeCloseTo(0.005, 12)
    expect(rates[1]).toBeCloseTo(0.01, 12)
    expect(rates[2]).toBeCloseTo(0.01, 12)
    expect(rates[19]).toBeCloseTo(0.01 / 18, 12)
    expect(rates[20]).toBeCloseTo(0.003, 12)
    expect(rates[29]).toBeCloseTo(0.003 / 9, 12)
  })

  it.each([1, 3, 4, 19, 20, 21, 29, 30])('resumes bit for bit after it was left behind step %i', async (step) => {
    const expected = await uninterruptedHash()
    await eventsOf(tinyRun(folder), step)
    const events = await eventsOf(tinyRun(folder, { resume: true }))
    expect(events[0]).toMatchObject({ type: 'run-start', resumedFrom: expect.stringMatching(/^step-/) })
    expect(await finalHash(folder)).toBe(expected)
  })

  it('depends on every part of what a checkpoint holds', async () => {
    // Without it, equality after resumption would prove nothing: a trainer that forgets moments must end elsewhere.
    const expected = await uninterruptedHash()
    await eventsOf(tinyRun(folder), 8)
    const forgetful = async ({ alignmentSteps }: { readonly alignmentSteps: number }) => {
      const trainer = new FakeHeadTrainer({ alignmentSteps, hiddenSize: 16 })
      const write = trainer.writeState.bind(trainer)
      trainer.writeState = (state: TrainerState) => write({ ...state, firstMoments: zerosLike(state.firstMoments) })
      return trainer
    }
    await eventsOf(tinyRun(folder, { resume: true, createTrainer: forgetful }))
    expect(await finalHash(folder)).not.toBe(expected)
  })

  it('ends after the step in which it is aborted, with a checkpoint, and resumes there', async () => {
    const expected = await uninterruptedHash()
    const controller = new AbortController()
    const events: TrainingEvent[] = []
    for await (const event of trainHead(tinyRun(folder, { signal: controller.signal }))) {
      events.push(event)
      if (event.type === 'step-end' && event.step === 8) controller.abort()
    }
    expect(events.at(-2)).toMatchObject({ type: 'checkpoint-saved', step: 8 })
    expect(events.at(-1)).toMatchObject({ type: 'finish', reason: 'aborted', step: 8 })
    const [start] = await eventsOf(tinyRun(folder, { resume: true }))
    expect(start).toMatchObject({ step: 8, resumedFrom: 'step-000000008' })
    expect(await finalHash(folder)).toBe(expected)
  })

  it('ends when its time is over, and adds up the time of all sittings', async () => {
    const slow = async ({ alignmentSteps }: { readonly alignmentSteps: number }) =>
      new FakeHeadTrainer({ alignmentSteps, hiddenSize: 16, delayMs: 30 })
    const first = await eventsOf(tinyRun(folder, { createTrainer: slow, maxMinutes: 0.01 }))
    const { reason, step, elapsedMs } = only(first, 'finish')[0]!
    expect([reason, step < 30]).toEqual(['time', true])
    const second = await eventsOf(tinyRun(folder, { resume: true }))
    expect(only(second, 'finish')[0]!.elapsedMs).toBeGreaterThan(elapsedMs)
    expect(await finalHash(folder)).toBe(await uninterruptedHash())
  })

  it('evaluates at the beginning, by interval and at the end, and knows the best head', async () => {
    const scores = new Map([
      [0, 1.2],
      [10, 1.8],
      [20, 1.5],
      [30, 1.9],
    ])
    const evaluate = async ({ step }: { readonly step: number }) => ({ acceptanceLength: scores.get(step)! })
    const options = { evaluate, evaluateEvery: { steps: 10 } }
    await eventsOf(tinyRun(folder, options), 13)
    // The interval counts from where a sitting begins, and from the end of a phase.
    const resumed = only(await eventsOf(tinyRun(folder, { ...options, resume: true })), 'evaluated')
    expect(resumed.map(({ step, isBest }) => [step, isBest])).toEqual([
      [20, false],
      [30, true],
    ])
    expect(resumed[1]!.parameters.get('fc.weight')).toHaveLength(16)
    const log = await readLog(runPlaces(folder).log)
    expect(log.filter(({ type }) => type === 'evaluated').map(({ step, isBest }) => [step, isBest])).toEqual([
      [0, true],
      [10, true],
      [20, false],
      [30, true],
    ])
    expect(JSON.stringify(log)).not.toContain('fc.weight')
  })

  it('logs each step once, whatever was done again after a resumption', async () => {
    await eventsOf(tinyRun(folder), 8)
    const path = runPlaces(folder).log
    // As if the process had died in the middle of a line.
    await writeFile(path, '{"time":"2026-', { flag: 'a' })
    await eventsOf(tinyRun(folder, { resume: true }))
    const log = await readLog(path)
    expect(log.filter(({ type }) => type === 'step-end').map(({ step }) => step)).toEqual(
      Array.from({ length: 30 }, (_, i) => i + 1),
    )
    expect(log.filter(({ type }) => type === 'run-start').map(({ step }) => step)).toEqual([0, 6])
  })

  it('has nothing left to do once it has finished', async () => {
    await eventsOf(tinyRun(folder))
    expect((await eventsOf(tinyRun(folder, { resume: true }))).map(({ type }) => type)).toEqual(['run-start', 'finish'])
  })

  it('disposes of its trainers', async () => {
    const trainers: FakeHeadTrainer[] = []
    const createTrainer = async ({ alignmentSteps }: { readonly alignmentSteps: number }) => {
      trainers.push(new FakeHeadTrainer({ alignmentSteps, hiddenSize: 16 }))
      return trainers.at(-1)!
    }
    await eventsOf(tinyRun(folder, { createTrainer }), 22)
    expect(trainers.map(({ isDisposed }) => isDisposed)).toEqual([true, true])
  })
})

describe('what trainHead refuses', () => {
  it('a new run where there is one, and resuming where there is none', async () => {
    expect(await refusal(eventsOf(tinyRun(folder, { resume: true })))).toMatchObject({
      code: 'HASS_ERR_CHECKPOINT_MISSING',
    })
    await eventsOf(tinyRun(folder), 1)
    expect(await refusal(eventsOf(tinyRun(folder)))).toMatchObject({ code: 'HASS_ERR_RUN_EXISTS' })
  })

  it.each<[what: string, changes: Partial<TrainHeadOptions>, paths: string[]]>([
    ['other data', { dataSha256: 'ab'.repeat(32) }, ['data']],
    ['another seed', { settings: { seed: 2 } }, ['seed']],
    ['more settings', { settings: { seed: 1, rows: 3 } }, ['rows']],
    ['another weight decay', { plan: { ...tinyPlan, weightDecay: 0 } }, ['plan.weightDecay']],
    [
      'a longer phase',
      { plan: { ...tinyPlan, phases: [{ ...tinyPhase, steps: 21 }, tinyPlan.phases[1]!] } },
      ['plan.phases[0].steps'],
    ],
    [
      'an appended phase and other data in mid-run',
      { dataSha256: 'ab'.repeat(32), plan: { ...tinyPlan, phases: [...tinyPlan.phases, tinyPhase] } },
      ['data'],
    ],
  ])('to resume with %s, showing the difference', async (_, changes, paths) => {
    await eventsOf(tinyRun(folder), 8)
    const error = (await refusal(eventsOf(tinyRun(folder, { ...changes, resume: true }))))!
    expect(error.code).toBe('HASS_ERR_RUN_MISMATCH')
    expect((error.details.differences as { path: string }[]).map(({ path }) => path)).toEqual(paths)
    for (const path of paths) expect(error.message).toContain(path)
  })

  it('no appended phase, with other data once the run has finished', async () => {
    await eventsOf(tinyRun(folder))
    const plan = { ...tinyPlan, phases: [...tinyPlan.phases, { ...tinyPhase, name: 'more', steps: 4 }] }
    const data = createFakeTrainingData({ seed: 9 })
    const events = await eventsOf(tinyRun(folder, { resume: true, plan, data, dataSha256: 'ab'.repeat(32) }))
    expect(only(events, 'step-end').map(({ step, epoch }) => [step, epoch])).toEqual([
      [31, 8],
      [32, 8],
      [33, 8],
      [34, 8],
    ])
    // And it resumes with them from now on.
    expect(await refusal(eventsOf(tinyRun(folder, { resume: true, plan })))).toMatchObject({
      code: 'HASS_ERR_RUN_MISMATCH',
    })
  })

  it('a second trainer in its folder, but takes over from a process that is gone', async () => {
    const run = trainHead(tinyRun(folder))
    await run.next()
    expect(await refusal(eventsOf(tinyRun(folder)))).toMatchObject({
      code: 'HASS_ERR_RUN_LOCKED',
      details: { pid: process.pid },
    })
    await run.return()
    await writeFile(join(folder, 'lock'), JSON.stringify({ pid: 2 ** 22 + 1, host: hostname(), nonce: '0' }))
    expect((await eventsOf(tinyRun(folder))).at(-1)).toMatchObject({ reason: 'completed' })
  })

  it.each([
    ['accumulate', 6],
    ['update', 6],
  ] as const)('what %s finds to be no number, naming the step', async (method, step) => {
    const createTrainer = async () => {
      const trainer = new FakeHeadTrainer({ alignmentSteps: 2, hiddenSize: 16 })
      const perform = trainer[method].bind(trainer) as (input: never) => Promise<never>
      let calls = 0
      trainer[method] = async (input: unknown) => {
        calls += 1
        if (calls === (method === 'update' ? 6 : 11))
          throw new NonFiniteError('The token loss is NaN.', { tensor: 'losses.token' })
        return perform(input as never)
      }
      return trainer
    }
    const error = (await refusal(eventsOf(tinyRun(folder, { createTrainer }))))!
    expect(error).toMatchObject({ code: 'HASS_ERR_NON_FINITE', details: { step, tensor: 'losses.token' } })
    expect(error.message).toContain(`In step ${step}: The token loss is NaN.`)
    expect((await findCheckpoint(runPlaces(folder).checkpoints)).manifest.position.step).toBe(3)
    expect((await readLog(runPlaces(folder).log)).at(-1)).toMatchObject({
      type: 'failure',
      error: { code: 'HASS_ERR_NON_FINITE' },
    })
  })

  it.each([
    ['parameters', 'fc.bias[7]'],
    ['firstMoments', 'the first moment of fc.bias[7]'],
    ['secondMoments', 'the second moment of fc.bias[7]'],
  ] as const)('to save %s that are no numbers, naming the tensor', async (part, name) => {
    const createTrainer = async () => {
      const trainer = new FakeHeadTrainer({ alignmentSteps: 2, hiddenSize: 16 })
      const read = trainer.readState.bind(trainer)
      trainer.readState = async () => {
        const state = await read()
        if (state.step === 6) (state[part].get('fc.bias') as Float32Array)[7] = Infinity
        return state
      }
      return trainer
    }
    const error = (await refusal(eventsOf(tinyRun(folder, { createTrainer }))))!
    expect(error).toMatchObject({ code: 'HASS_ERR_NON_FINITE', details: { step: 6, tensor: name } })
    expect((await findCheckpoint(runPlaces(folder).checkpoints)).manifest.position.step).toBe(3)
  })

  it('options and plans that it does not know', async () => {
    const wrong: Partial<TrainHeadOptions>[] = [
      { stepz: 3 } as never,
      { maxMinutes: 0 },
      { keepCheckpoints: 0 },
      { checkpointEvery: { hours: 1 } as never },
      { plan: { ...tinyPlan, phases: [] } },
      { plan: { ...tinyPlan, momentum: 1 } as never },
      { plan: { ...tinyPlan, phases: [{ ...tinyPhase, schedule: 'step' as never }] } },
      { plan: { ...tinyPlan, phases: [{ ...tinyPhase, steps: 0 }] } },
      { plan: { ...tinyPlan, phases: [{ ...tinyPhase, learningRate: Number.NaN }] } },
    ]
    for (const changes of wrong) {
      const error = await refusal(eventsOf(tinyRun(folder, changes)))
      expect(error, JSON.stringify(changes)).toBeInstanceOf(InvalidArgumentError)
    }
    expect(await readFile(runPlaces(folder).log, 'utf8').catch(() => '')).not.toContain('step-end')
  })
})

function zerosLike(tensors: TrainerState['parameters']): TrainerState['parameters'] {
  return new Map(Array.from(tensors, ([name, values]) => [name, new Float32Array(values.length)]))
}
