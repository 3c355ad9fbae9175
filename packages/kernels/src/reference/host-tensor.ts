import type { DeviceDType } from '../program.js'

/** Elements of a tensor in JavaScript's memory. F32 is kept as float64 where a reference device is opened so. */
export type HostData = Float32Array | Float64Array | Uint16Array | Int32Array | Uint32Array

/** Packed weights, taken apart: one quant per element, one scale and one minimum per block. */
export interface PackedData {
  /** Columns of a block here: 32, 128 for F8. */
  readonly blockColumns: number
  /** `[rows, columns]`, 0 to 15 for Q4 and Q4K, -128 to 127 for Q8; of F8 the codes, as signed bytes. */
  readonly quants: Int8Array
  /** `[rows, columns / blockColumns]`, of Q4 and Q8 float16 values. */
  readonly scales: Float32Array
  /** `[rows, columns / blockColumns]`, of Q4 float16 values; zeros for Q8 and F8. */
  readonly minimums: Float32Array
}

/** An operand of the reference backend, its extents bound. */
export interface HostTensor {
  readonly dtype: DeviceDType
  readonly shape: readonly number[]
  /** Empty for packed weights. */
  readonly data: HostData
  readonly packed?: PackedData
}

/** The float32 elements of an operand whose signature says F32. */
export function floatsOf(tensor: HostTensor): Float32Array {
  // In float64 mode this is a Float64Array: the same indexed reads and writes, so the kernels need not know.
  return tensor.data as Float32Array
}

/** The elements of an operand whose signature says U32. */
export function wordsOf(tensor: HostTensor): Uint32Array {
  return tensor.data as Uint32Array
}
