import { createNoiseField, noiseStreams } from '@hass-engine/core'

export interface BatchPlanOptions {
  /** `[sequences]`, rows of each. */
  readonly lengths: ArrayLike<number>
  readonly seed: number | bigint
  readonly epoch: number
  /** Rows of a batch, padding included. */
  readonly maxRows: number
  /** Sequences of a batch. */
  readonly maxSequences: number
}

/** So many batches' worth of sequences are sorted by length together: more waste less padding and mix worse. */
const batchesPerBucket = 32

/** Half of the 32-bit tokens of the noise field, so that batches draw from their own. */
const firstBatchToken = 2 ** 31

/**
 * Which sequences share a batch in one epoch, and in which order batches come: a function of the options alone.
 *
 * Sequences are shuffled; stretches of the shuffled order are sorted by length and cut into batches, so that a batch
 * holds sequences of much the same length; then the batches are shuffled.
 *
 * @returns numbers of sequences, batch by batch
 */
export function planBatches(options: BatchPlanOptions): Uint32Array[] {
  const { lengths, seed, epoch, maxRows, maxSequences } = options
  const noise = createNoiseField(seed)
  const word = (token: number) => noise.word(epoch, token, noiseStreams.shuffling)
  const order = shuffle(lengths.length, word)
  const meanLength = Array.from(lengths).reduce((sum, length) => sum + length, 0) / Math.max(1, lengths.length)
  const perBatch = Math.max(1, Math.min(maxSequences, Math.floor(maxRows / Math.max(1, meanLength))))
  const bucket = perBatch * batchesPerBucket
  const batches: number[][] = []
  for (let from = 0; from < order.length; from += bucket) {
    const sorted = order.slice(from, from + bucket).sort((a, b) => lengths[a]! - lengths[b]! || a - b)
    batches.push(...cut(sorted, options))
  }
  const batchOrder = shuffle(batches.length, (batch) => word(firstBatchToken + batch))
  return batchOrder.map((batch) => Uint32Array.from(batches[batch]!))
}

/** Fills batches in order; a sequence that is longer than a batch may be has one of its own. */
function cut(sorted: readonly number[], { lengths, maxRows, maxSequences }: BatchPlanOptions): number[][] {
  const batches: number[][] = []
  let batch: number[] = []
  for (const sequence of sorted) {
    // Lengths ascend: this one would set the width of its batch.
    const isFull = batch.length === maxSequences || (batch.length + 1) * lengths[sequence]! > maxRows
    if (isFull && batch.length > 0) {
      batches.push(batch)
      batch = []
    }
    batch.push(sequence)
  }
  if (batch.length > 0) batches.push(batch)
  return batches
}

function shuffle(count: number, word: (index: number) => number): number[] {
  const keys = Float64Array.from({ length: count }, (_, i) => word(i))
  return Array.from({ length: count }, (_, i) => i).sort((a, b) => keys[a]! - keys[b]! || a - b)
}
