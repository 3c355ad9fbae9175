import { createHash } from 'node:crypto'
import type { TrainerState } from '../head-trainer.js'
import type { TrainHeadOptions } from '../run/train-head-options.js'
import type { TrainingPhase, TrainingPlan } from '../run/training-plan.js'
import { FakeHeadTrainer } from './fake-head-trainer.js'
import { createFakeTrainingData } from './fake-training-data.js'

export const tinyPhase: TrainingPhase = {
  name: 'align',
  steps: 20,
  alignmentSteps: 2,
  learningRate: 0.01,
  schedule: 'linear',
  warmupShare: 0.1,
  accumulation: 2,
  weights: { feature: 1, token: 0.1, topK: 0 },
}

export const tinyPlan: TrainingPlan = {
  phases: [
    tinyPhase,
    { ...tinyPhase, name: 'refine', steps: 10, alignmentSteps: 3, learningRate: 0.003, accumulation: 1 },
  ],
  topK: 10,
  betas: [0.9, 0.95],
  epsilon: 1e-8,
  weightDecay: 0.01,
  clip: 0.5,
}

/** A run of thirty steps, in milliseconds. */
export function tinyRun(folder: string, changes: Partial<TrainHeadOptions> = {}): TrainHeadOptions {
  return {
    folder,
    plan: tinyPlan,
    data: createFakeTrainingData(),
    dataSha256: 'da'.repeat(32),
    settings: { seed: 1 },
    createTrainer: async ({ alignmentSteps }) => new FakeHeadTrainer({ alignmentSteps, hiddenSize: 16 }),
    checkpointEvery: { steps: 3 },
    ...changes,
  }
}

/** SHA-256 of parameters and moments. */
export function hashState({ step, parameters, firstMoments, secondMoments }: TrainerState): string {
  const hash = createHash('sha256').update(String(step))
  for (const tensors of [parameters, firstMoments, secondMoments]) {
    for (const name of [...tensors.keys()].sort()) hash.update(name).update(tensors.get(name)!)
  }
  return hash.digest('hex')
}
