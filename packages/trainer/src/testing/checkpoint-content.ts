import type { CheckpointContent } from '../checkpoint/save-checkpoint.js'

/** What a checkpoint of a step holds: different for each step in every part. */
export function contentOf(step: number): CheckpointContent {
  const tensors = (offset: number) =>
    new Map([
      ['fc.weight', Float32Array.from({ length: 300 }, (_, i) => Math.sin(i + offset + step))],
      ['layers.0.weight', Float32Array.from({ length: 70 }, (_, i) => Math.cos(i * offset - step))],
    ])
  return {
    state: { step, parameters: tensors(1), firstMoments: tensors(2), secondMoments: tensors(3) },
    position: { step, phase: 0, phaseStep: step, epoch: 0, batch: step },
    identity: { settings: { plan: { phases: [] }, seed: 1 }, data: 'da'.repeat(32) },
    history: { elapsedMs: 1.5 * step, logBytes: 100 * step },
  }
}
