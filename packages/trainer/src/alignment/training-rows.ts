import type { TrainingBatch } from '../head-trainer.js'

/** Rows of one alignment step, by rising sequence and position, and where each finds what it reads. */
export interface StepRows {
  /** `[rows]`, each row's place among the context rows. */
  readonly places: Uint32Array
  /** `[rows]`, its position in its sequence. */
  readonly positions: Uint32Array
  /** `[rows]`, its input feature's place among the predictions of the step before, then the sequences' first features. */
  readonly sources: Uint32Array
  /** `[rows]`, the slots of source 0 that it sees: from begins to ends. */
  readonly begins: Uint32Array
  readonly ends: Uint32Array
  /** `[rows + 1]` into `near`, the slots of newer sources that it sees. */
  readonly nearOffsets: Uint32Array
  readonly near: Uint32Array
  /** `[masked]`, the rows at which losses count. */
  readonly masked: Uint32Array
}

export interface TrainingRows {
  /** `[context]`, rows of the batch whose keys and values anyone sees: each sequence up to its last masked position. */
  readonly context: Uint32Array
  /** `[sequences]`, the first context row of each sequence that has any. */
  readonly firsts: Uint32Array
  /** `[masked]`, rows of the batch at which losses count. */
  readonly masked: Uint32Array
  readonly steps: readonly StepRows[]
}

/**
 * What has to be computed for a batch, and nothing else. Losses count at the masked positions M; step s feeds the
 * inputs of later steps one position further on, so it must predict at M, M − 1 … M − (n − s). Newer sources are seen
 * at short distances only, which are the same rows; source 0 is seen everywhere.
 */
export function trainingRows(batch: TrainingBatch, steps: number): TrainingRows {
  const { sequences, positions } = batch
  const context: number[] = []
  const firsts: number[] = []
  const masked: number[] = []
  const builders = Array.from({ length: steps }, (_, i) => new StepBuilder(i + 1, steps))
  for (let sequence = 0; sequence < sequences; sequence++) {
    const first = sequence * positions
    const mask = batch.lossMask.subarray(first, first + positions)
    const last = mask.lastIndexOf(1)
    if (last < 0) continue
    for (const builder of builders) builder.add(mask, last, context.length)
    firsts.push(context.length)
    for (let position = 0; position <= last; position++) {
      context.push(first + position)
      if (mask[position]) masked.push(first + position)
    }
  }
  // Slots of source j ≥ 1 follow those of the sources before it; its rows are those of step j + 1.
  const slots = [0]
  for (const [i, builder] of builders.entries()) slots.push(i === 0 ? context.length : slots[i]! + builder.count)
  return {
    context: Uint32Array.from(context),
    firsts: Uint32Array.from(firsts),
    masked: Uint32Array.from(masked),
    steps: builders.map((builder, i) => builder.finish(builders, slots, i)),
  }
}

interface Row {
  /** Number of its sequence among those that have rows, and the sequence's first context row. */
  readonly sequence: number
  readonly first: number
  readonly position: number
  readonly isMasked: boolean
}

/** Rows of one step while sequences are added. */
class StepBuilder {
  readonly #rows: Row[] = []
  /** Number of each row by its context row. */
  readonly #numbers = new Map<number, number>()
  #sequences = 0

  constructor(
    readonly step: number,
    readonly steps: number,
  ) {}

  get count(): number {
    return this.#rows.length
  }

  add(mask: Uint8Array, last: number, first: number): void {
    const reach = this.steps - this.step
    const sequence = this.#sequences++
    for (let position = 0; position <= last; position++) {
      if (!mask.subarray(position, position + reach + 1).includes(1)) continue
      this.#numbers.set(first + position, this.#rows.length)
      this.#rows.push({ sequence, first, position, isMasked: mask[position] === 1 })
    }
  }

  finish(builders: readonly StepBuilder[], slots: readonly number[], index: number): StepRows {
    const rows = this.#rows
    const before = builders[index - 1]
    const near: number[] = []
    const nearOffsets = [0]
    for (const { first, position } of rows) {
      // Distance o is seen in source s − 1 − o while that is no less than 1: from the farthest to the row itself.
      for (let distance = Math.min(this.step - 2, position); distance >= 0; distance--) {
        const source = this.step - 1 - distance
        near.push(slots[source]! + builders[source]!.#numbers.get(first + position - distance)!)
      }
      nearOffsets.push(near.length)
    }
    return {
      places: Uint32Array.from(rows, ({ first, position }) => first + position),
      positions: Uint32Array.from(rows, ({ position }) => position),
      sources: Uint32Array.from(before ? rows : [], ({ sequence, first, position }) =>
        position === 0 ? before!.count + sequence : before!.#numbers.get(first + position - 1)!,
      ),
      begins: Uint32Array.from(rows, ({ first }) => first),
      ends: Uint32Array.from(rows, ({ first, position }) => first + Math.max(0, position - this.step + 2)),
      nearOffsets: Uint32Array.from(nearOffsets),
      near: Uint32Array.from(near),
      masked: Uint32Array.from(rows.flatMap(({ isMasked }, number) => (isMasked ? [number] : []))),
    }
  }
}
