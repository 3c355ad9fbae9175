import { bf16ToFloat, f16ToFloat, floatToBf16, floatToF16, fp8ToFloat } from '@hass-engine/core'
import type { Arithmetic } from './arithmetic.js'
import { floatsOf, type HostTensor, type PackedData } from './host-tensor.js'

/** Elements that share a scale in packed weights of integers. */
export const blockSize = 32

/** Widens elements of a float, F16 or BF16 tensor into `target`. */
export function widenInto(source: HostTensor, from: number, target: Float32Array, at: number, count: number): void {
  const { data, dtype } = source
  if (dtype === 'F32') {
    target.set(floatsOf(source).subarray(from, from + count), at)
    return
  }
  const widen = dtype === 'F16' ? f16ToFloat : bf16ToFloat
  for (let i = 0; i < count; i++) target[at + i] = widen(data[from + i]!)
}

/** Rounds floats into a tensor of dtype F32, F16 or BF16. */
export function narrowInto(target: HostTensor, at: number, source: Float32Array, from: number, count: number): void {
  const { data, dtype } = target
  if (dtype === 'F32') {
    data.set(source.subarray(from, from + count), at)
    return
  }
  const narrow = dtype === 'F16' ? floatToF16 : floatToBf16
  for (let i = 0; i < count; i++) data[at + i] = narrow(source[from + i]!)
}

/** Widens row `row` of a matrix of any weight dtype: Q8 is d · q, Q4 and Q4K d · q + m, F8 scale · code. */
export function widenRow(
  matrix: HostTensor,
  row: number,
  target: Float32Array,
  at: number,
  { round }: Arithmetic,
): void {
  const columns = matrix.shape[1]!
  const { packed } = matrix
  if (!packed) {
    widenInto(matrix, row * columns, target, at, columns)
    return
  }
  const { quants, scales, minimums, blockColumns } = packed
  const base = row * columns
  if (matrix.dtype === 'F8') {
    widenCodes(packed, base, target, at, columns)
    for (let i = 0; i < columns; i++) target[at + i] = target[at + i]! * scales[Math.floor((base + i) / blockColumns)]!
    return
  }
  const isAffine = matrix.dtype !== 'Q8'
  for (let i = 0; i < columns; i++) {
    const block = Math.floor((base + i) / blockColumns)
    const product = round(scales[block]! * quants[base + i]!)
    target[at + i] = isAffine ? product + minimums[block]! : product
  }
}

/** The numbers of F8 codes, without their scales. */
export function widenCodes(
  { quants }: PackedData,
  from: number,
  target: Float32Array,
  at: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) target[at + i] = fp8ToFloat(quants[from + i]! & 255)
}
