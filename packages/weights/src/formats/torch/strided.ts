/** A view of a storage, in elements: element `i` of dimension `d` lies `i · strides[d]` further. */
export interface StridedView {
  readonly offset: number
  readonly shape: readonly number[]
  readonly strides: readonly number[]
}

/** Elements from the view's first to behind its last; 0 if it has none. Infinity where that cannot be counted. */
export function stridedExtent({ shape, strides }: StridedView): number {
  if (shape.includes(0)) return 0
  const last = shape.reduce((sum, size, dimension) => sum + (size - 1) * strides[dimension]!, 0)
  return Number.isSafeInteger(last + 1) ? last + 1 : Infinity
}

/** True if the elements lie one behind the other in row-major order. */
export function isContiguous({ shape, strides }: StridedView): boolean {
  let expected = 1
  for (let dimension = shape.length - 1; dimension >= 0; dimension--) {
    const size = shape[dimension]!
    if (size !== 1 && strides[dimension] !== expected) return false
    expected *= size
  }
  return true
}

/**
 * Copies a view's elements into row-major order.
 *
 * @param bytes the storage from the view's first element on
 * @param target `[elements · size]`
 * @param size bytes of one element
 */
export function gatherStrided(bytes: Uint8Array, target: Uint8Array, view: StridedView, size: number): void {
  const { shape, strides } = view
  const index = shape.map(() => 0)
  let from = 0
  for (let to = 0; to < target.byteLength; to += size) {
    for (let i = 0; i < size; i++) target[to + i] = bytes[from * size + i]!
    // Counts up like an odometer, the last dimension fastest.
    for (let dimension = shape.length - 1; dimension >= 0; dimension--) {
      from += strides[dimension]!
      index[dimension]!++
      if (index[dimension]! < shape[dimension]!) break
      from -= strides[dimension]! * shape[dimension]!
      index[dimension] = 0
    }
  }
}
