import type { DataCursor } from '../dataset/dataset.js'
import type { TrainingBatch } from '../head-trainer.js'
import type { TrainingData } from './training-data.js'

/** Batches in order; the next one is read while the last one is learnt from. */
export class BatchReader {
  readonly #data: TrainingData
  #cursor: DataCursor
  #next: Promise<TrainingBatch> | undefined

  constructor(data: TrainingData, cursor: DataCursor) {
    this.#data = data
    this.#cursor = cursor
  }

  /** Of the next batch that `read` gives. */
  get cursor(): DataCursor {
    return this.#cursor
  }

  async read(): Promise<TrainingBatch> {
    const batch = await (this.#next ?? this.#data.readBatch(this.#cursor))
    this.#cursor = this.#data.next(this.#cursor)
    this.#next = this.#data.readBatch(this.#cursor)
    // If it fails it says so when it is awaited, if ever.
    this.#next.catch(() => {})
    return batch
  }
}
