import { createNoiseField } from '@hass-engine/core'
import type { DataCursor } from '../dataset/dataset.js'
import type { TrainingBatch } from '../head-trainer.js'
import type { TrainingData } from '../run/training-data.js'

/** Batches that seed and cursor decide, seven in each epoch. */
export function createFakeTrainingData({
  seed = 1,
  hiddenSize = 16,
}: {
  readonly seed?: number
  readonly hiddenSize?: number
} = {}): TrainingData {
  const noise = createNoiseField(seed)
  const numBatches = 7
  const [sequences, positions] = [2, 5]
  return {
    numBatches: () => numBatches,
    next: ({ epoch, batch }: DataCursor) =>
      batch + 1 < numBatches ? { epoch, batch: batch + 1 } : { epoch: epoch + 1, batch: 0 },
    async readBatch({ epoch, batch }: DataCursor): Promise<TrainingBatch> {
      const position = epoch * numBatches + batch
      const rows = sequences * positions
      const uniform = new Float64Array(rows * hiddenSize)
      noise.fillUniform(uniform, position)
      return {
        sequences,
        positions,
        tokens: Uint32Array.from({ length: rows }, (_, row) => noise.word(position, row, 3) % 100),
        features: Float32Array.from(uniform, (value) => value - 0.5),
        lossMask: Uint8Array.from({ length: rows }, (_, row) => (row % positions < positions - 1 ? 1 : 0)),
      }
    },
  }
}
