import type { DeviceDType, TensorKindCode } from '../program.js'

/** A size that is bound at every run. */
export interface Dimension {
  readonly name: string
  readonly maxSize: number
  /** Number in its graph's list of dimensions. */
  readonly index: number
}

export type Extent = number | Dimension

/** A named tensor of a graph; only its shape and dtype exist, its elements belong to devices and runs. */
export interface GraphTensor {
  readonly name: string
  readonly dtype: DeviceDType
  /** Negative extents, -1 - i, stand for dimension i of the graph. */
  readonly shape: readonly number[]
  readonly kind: TensorKindCode
  readonly index: number
}

/** Where rows of a run find their context: the inputs that a tree attention reads. */
export interface TreeContext {
  /** `[rows]`, the sequence of each row. */
  readonly rowSequence: GraphTensor
  /** `[sequences + 1]` into `contextSlots`. */
  readonly sequenceOffsets: GraphTensor
  /** `[context]`, committed slots of each sequence in logical order. */
  readonly contextSlots: GraphTensor
  /** `[rows + 1]` into `ancestorSlots`. */
  readonly ancestorOffsets: GraphTensor
  /** `[ancestors]`, same-pass ancestors of each row from the oldest, the row itself last. */
  readonly ancestorSlots: GraphTensor
}

/** Where rows of a run find their context: the inputs that an aligned attention reads. */
export interface AlignedContext {
  /** `[rows] U32`, the first slot of each row's range. */
  readonly begins: GraphTensor
  /** `[rows] U32`, the slot behind its last. */
  readonly ends: GraphTensor
  /** `[rows + 1] U32` into `near`. */
  readonly nearOffsets: GraphTensor
  /** `[near] U32`, further slots of each row, behind its range. */
  readonly near: GraphTensor
}
