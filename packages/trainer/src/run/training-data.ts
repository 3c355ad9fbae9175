import type { DataCursor } from '../dataset/dataset.js'
import type { TrainingBatch } from '../head-trainer.js'

/**
 * Batches by cursor: the same cursor gives the same batch, whatever was read before. Nothing is consumed, so a cursor
 * is all that a resumed run needs, and no random state has to be restored. `Dataset` is one.
 */
export interface TrainingData {
  numBatches(epoch: number): number
  /** The cursor after a batch: the next one, or the first of the next epoch. */
  next(cursor: DataCursor): DataCursor
  readBatch(cursor: DataCursor, signal?: AbortSignal): Promise<TrainingBatch>
}
