import { type PassLimits, type PassPart, type RowBatch, sizeOf } from './plan-passes.js'

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
  const size = measure(parts, batches)
  const positions = new Uint32Array(size.rows)
  const slots = new Uint32Array(size.rows)
  const selected = new Uint32Array(size.selected)
  const rowSequence = new Uint32Array(size.rows)
  const sequenceOffsets = new Uint32Array(parts.length + 1)
  const contextSlots = new Uint32Array(size.context)
  const ancestorOffsets = new Uint32Array(size.rows + 1)
  const ancestorSlots = new Uint32Array(size.ancestors)
  let [at, selectedAt, contextEnd, ancestorsEnd] = [0, 0, 0, 0]
  for (const [sequence, { batch: index, from, to, above }] of parts.entries()) {
    const { cached, firstRow, isSelected } = batches[index]!
    for (const seen of [cached.committed, cached.pathSlots(above, -1)]) {
      contextSlots.set(seen, contextEnd)
      contextEnd += seen.length
    }
    sequenceOffsets[sequence + 1] = contextEnd
    for (let row = from; row < to; row++, at++) {
      if (isSelected(row)) selected[selectedAt++] = at
      positions[at] = cached.position(firstRow + row)
      slots[at] = cached.slot(firstRow + row)
      rowSequence[at] = sequence
      const path = cached.pathSlots(firstRow + row, above)
      ancestorSlots.set(path, ancestorsEnd)
      ancestorsEnd += path.length
      ancestorOffsets[at + 1] = ancestorsEnd
    }
  }
  return {
    positions,
    slots,
    selected,
    'context.rowSequence': rowSequence,
    'context.sequenceOffsets': sequenceOffsets,
    'context.contextSlots': contextSlots,
    'context.ancestorOffsets': ancestorOffsets,
    'context.ancestorSlots': ancestorSlots,
  }
}

function measure(parts: readonly PassPart[], batches: readonly RowBatch[]): PassLimits {
  const total = { rows: 0, selected: 0, sequences: 0, context: 0, ancestors: 0 }
  for (const part of parts) {
    const size = sizeOf(batches[part.batch]!, part)
    total.rows += size.rows
    total.selected += size.selected
    total.sequences += size.sequences
    total.context += size.context
    total.ancestors += size.ancestors
  }
  return total
}
