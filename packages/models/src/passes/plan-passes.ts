import type { CachedRows } from '../cache/cached-rows.js'

/** Open rows of one sequence that are to be computed, in order. */
export interface RowBatch {
  readonly cached: CachedRows
  /** Number of the first among the sequence's open rows; the rows behind it up to the last open one follow. */
  readonly firstRow: number
  readonly rows: number
  /** Whether something is wanted that only selected rows get, such as logits. `row` counts from 0. */
  readonly isSelected: (row: number) => boolean
}

/** Sizes that one pass must not exceed. */
export interface PassLimits {
  readonly rows: number
  readonly selected: number
  readonly sequences: number
  /** Committed slots of all sequences of the pass. */
  readonly context: number
  /** Slots of all rows' own paths; at least what one chain of `rows` has. */
  readonly ancestors: number
}

/** Rows `from` to `to` of a batch, computed in one pass. */
export interface PassPart {
  /** Index of the batch. */
  readonly batch: number
  readonly from: number
  readonly to: number
  /** Number of the open row whose path all of them continue, computed by earlier passes; -1 if there is none. */
  readonly above: number
}

/**
 * Cuts rows into passes within the limits; rows keep their order, so that a row's ancestors are computed before it or
 * with it.
 */
export function planPasses(batches: readonly RowBatch[], limits: PassLimits): PassPart[][] {
  const passes: PassPart[][] = []
  let room = { ...limits }
  for (const [index, batch] of batches.entries()) {
    for (let from = 0; from < batch.rows; ) {
      let part = passes.length > 0 ? fitPart(batch, index, from, room) : undefined
      if (!part) {
        room = { ...limits }
        passes.push([])
        part = fitPart(batch, index, from, room)!
      }
      passes.at(-1)!.push(part)
      room = subtract(room, sizeOf(batch, part))
      from = part.to
    }
  }
  return passes
}

/** As many rows from `from` on as there is room for; none if there is no room for one. */
function fitPart(batch: RowBatch, index: number, from: number, room: PassLimits): PassPart | undefined {
  let rows = Math.min(batch.rows - from, room.rows)
  for (; rows > 0; rows = rows >> 1) {
    const part = { batch: index, from, to: from + rows, above: commonAncestor(batch, from, from + rows) }
    const size = sizeOf(batch, part)
    if (fits(size, room)) return part
  }
  return undefined
}

/** What a part takes of the limits. */
export function sizeOf(batch: RowBatch, { from, to, above }: PassPart): PassLimits {
  const { cached, firstRow } = batch
  const depth = cached.depth(above)
  let selected = 0
  let ancestors = 0
  for (let row = from; row < to; row++) {
    if (batch.isSelected(row)) selected++
    ancestors += cached.depth(firstRow + row) - depth
  }
  return { rows: to - from, selected, sequences: 1, context: cached.length + depth, ancestors }
}

function fits(size: PassLimits, room: PassLimits): boolean {
  return (
    size.rows <= room.rows &&
    size.selected <= room.selected &&
    size.sequences <= room.sequences &&
    size.context <= room.context &&
    size.ancestors <= room.ancestors
  )
}

function subtract(room: PassLimits, size: PassLimits): PassLimits {
  return {
    rows: room.rows - size.rows,
    selected: room.selected - size.selected,
    sequences: room.sequences - size.sequences,
    context: room.context - size.context,
    ancestors: room.ancestors - size.ancestors,
  }
}

/** The deepest open row before the part that is an ancestor of all its rows: it and those above it join the context. */
function commonAncestor({ cached, firstRow }: RowBatch, from: number, to: number): number {
  const first = firstRow + from
  let common: number | undefined
  for (let row = first; row < firstRow + to; row++) {
    const parent = cached.parent(row)
    if (parent < first) common = common === undefined ? parent : meet(cached, common, parent)
  }
  return common ?? -1
}

function meet(cached: CachedRows, a: number, b: number): number {
  let [left, right] = [a, b]
  // An ancestor has a smaller number than its descendants.
  while (left !== right) {
    if (left > right) left = cached.parent(left)
    else right = cached.parent(right)
  }
  return left
}
