import type { PassPart, RowBatch } from './plan-passes.js'

/** What every decoder pass is told of its rows, by the names of the graph's inputs. */
export interface PassInputs {
  /** `[rows]` index of each row's token in its sequence */
  readonly positions: Uint32Array
  /** `[rows]` cache slot that each row writes */
  readonly slots: Uint32Array
  /** `[selected]` rows of the pass */
  readonly selected: Uint32Array
  readonly 'context.rowSequence': Uint32Array
  readonly 'context.sequenceOffsets': Uint32Array
  readonly 'context.contextSlots': Uint32Array
  readonly 'context.ancestorOffsets': Uint32Array
  readonly 'context.ancestorSlots': Uint32Array
}

/** Describes the rows of one pass: where they stand, where they are stored and what they see, in logical order. */
export function passInputs(parts: readonly PassPart[], batches: readonly RowBatch[]): PassInputs {
  const positions: number[] = []
  const slots: number[] = []
  const selected: number[] = []
  const rowSequence: number[] = []
  const context = new SlotLists()
  const ancestors = new SlotLists()
  for (const [sequence, { batch: index, from, to, above }] of parts.entries()) {
    const batch = batches[index]!
    const { cached, firstRow } = batch
    context.add(cached.committed, cached.pathSlots(above, -1))
    for (let row = from; row < to; row++) {
      if (batch.isSelected(row)) selected.push(positions.length)
      positions.push(cached.position(firstRow + row))
      slots.push(cached.slot(firstRow + row))
      rowSequence.push(sequence)
      ancestors.add(cached.pathSlots(firstRow + row, above))
    }
  }
  return {
    positions: Uint32Array.from(positions),
    slots: Uint32Array.from(slots),
    selected: Uint32Array.from(selected),
    'context.rowSequence': Uint32Array.from(rowSequence),
    'context.sequenceOffsets': context.offsets(),
    'context.contextSlots': context.slots(),
    'context.ancestorOffsets': ancestors.offsets(),
    'context.ancestorSlots': ancestors.slots(),
  }
}

/** Lists of slots laid end to end. */
class SlotLists {
  readonly #pieces: Uint32Array[] = []
  readonly #ends = [0]
  #length = 0

  add(...pieces: readonly Uint32Array[]): void {
    for (const piece of pieces) {
      this.#pieces.push(piece)
      this.#length += piece.length
    }
    this.#ends.push(this.#length)
  }

  offsets(): Uint32Array {
    return Uint32Array.from(this.#ends)
  }

  slots(): Uint32Array {
    const all = new Uint32Array(this.#length)
    let at = 0
    for (const piece of this.#pieces) {
      all.set(piece, at)
      at += piece.length
    }
    return all
  }
}
