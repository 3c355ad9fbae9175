import type { DeviceDType } from '../program.js'
import { Random } from './random.js'
import { pickRows, type Scenario } from './scenario.js'

/** What must not matter to a row: where the cache keeps its context, and how much of it is committed. */
export interface AttentionPlacement {
  /** Decides the slots of the logical context. Defaults to 1. */
  readonly slotSeed?: number
  /** How many of each sequence's first positions are committed, up to what all its rows share. Defaults to all. */
  readonly committed?: number
}

interface Row {
  readonly sequence: number
  /** Logical entries of the cache, from the oldest to the row itself. */
  readonly path: readonly number[]
}

/** Two sequences of some shared positions each, and rows that branch off behind them like the nodes of a tree. */
export function attentionScenario(
  random: Random,
  options: {
    readonly dtype: DeviceDType
    readonly placement?: AttentionPlacement
    /** Most positions that the rows of a sequence share. Defaults to 40. */
    readonly longest?: number
    /** Fewest of them. Defaults to 1. */
    readonly shortest?: number
    /** Rows of a sequence. Defaults to 5. */
    readonly branches?: number
  },
): Scenario {
  const { dtype, placement = {}, longest = 40, shortest = 1, branches = 5 } = options
  const kvHeads = random.integer(1, 3)
  const heads = kvHeads * random.integer(1, 3)
  const headSize = 2 * random.integer(1, 20)
  const columns = kvHeads * headSize
  const shared = [random.integer(shortest, longest), random.integer(shortest, longest)]
  const rows: Row[] = []
  let entries = 0
  for (const [sequence, length] of shared.entries()) {
    const prefix = Array.from({ length }, () => entries++)
    for (let i = 0; i < branches; i++) {
      const parent = random.next() < 0.3 ? undefined : rows.filter((row) => row.sequence === sequence).at(-1)
      rows.push({ sequence, path: [...(parent?.path ?? prefix), entries++] })
    }
  }
  const numRows = rows.length
  const slots = entries + 8
  const queries = random.floats(numRows * heads * headSize, 2)
  const logicalKeys = random.elements(dtype, entries * columns)
  const logicalValues = random.elements(dtype, entries * columns)
  const slotOf = new Random(placement.slotSeed ?? 1).permutation(slots)
  const place = (logical: Float32Array | Uint16Array) => {
    const Type = logical.constructor as new (length: number) => Float32Array
    // What no row names must not be read: it is NaN in every cache dtype.
    const data = new Type(slots * columns).fill(dtype === 'F32' ? Number.NaN : 0x7fff)
    for (let entry = 0; entry < entries; entry++) {
      data.set(logical.subarray(entry * columns, (entry + 1) * columns), slotOf[entry]! * columns)
    }
    return data
  }
  const committed = shared.map((length) => Math.min(length, placement.committed ?? length))
  return {
    name: `treeAttention ${dtype} ${heads}/${kvHeads} × ${headSize}`,
    isExact: true,
    isTraining: false,
    numRows,
    weights: {},
    states: {
      keys: { dtype, shape: [slots, columns], data: place(logicalKeys) },
      values: { dtype, shape: [slots, columns], data: place(logicalValues) },
    },
    build(g, rowDimension, { keys, values }) {
      const q = g.input('q', 'F32', [rowDimension, heads * headSize])
      const context = g.treeContext(rowDimension, {
        maxSequences: 2,
        maxContext: entries,
        maxAncestors: numRows * entries,
      })
      g.output('y', g.treeAttention(q, keys!, values!, context, { heads, kvHeads }))
    },
    inputs(selection) {
      const picked = selection.map((row) => rows[row]!)
      const contexts = committed.map((count, sequence) =>
        rows.find((row) => row.sequence === sequence)!.path.slice(0, count),
      )
      const ancestors = picked.map(({ sequence, path }) => path.slice(committed[sequence]!))
      const toSlots = (lists: readonly (readonly number[])[]) =>
        Uint32Array.from(lists.flat(), (entry) => slotOf[entry]!)
      const offsets = (lists: readonly (readonly number[])[]) => {
        let end = 0
        return Uint32Array.of(0, ...lists.map((list) => (end += list.length)))
      }
      return {
        q: pickRows(queries, numRows, selection),
        'context.rowSequence': Uint32Array.from(picked, ({ sequence }) => sequence),
        'context.sequenceOffsets': offsets(contexts),
        'context.contextSlots': toSlots(contexts),
        'context.ancestorOffsets': offsets(ancestors),
        'context.ancestorSlots': toSlots(ancestors),
      }
    },
  }
}
