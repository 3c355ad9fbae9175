/**
 * The indices of the `count` largest values, largest first; of equals the earlier index. NaN ranks with -Infinity.
 *
 * A heap of `count` indices whose top is the worst: O(values) where most values lose, never a full sort.
 *
 * @param values any length; only `[from, to)` is looked at
 */
export function bestIndices(values: ArrayLike<number>, count: number, from = 0, to = values.length): Uint32Array {
  const size = Math.max(0, Math.min(count, to - from))
  const heap = new Uint32Array(size)
  const keys = new Float64Array(size)
  for (let i = 0; i < size; i++) {
    heap[i] = from + i
    keys[i] = rankable(values[from + i]!)
  }
  for (let i = (size >> 1) - 1; i >= 0; i--) sink(heap, keys, i, size)
  if (size > 0) {
    for (let i = from + size; i < to; i++) {
      // A later value must be strictly larger than the worst to take its place; NaN never is.
      if (!(values[i]! > keys[0]!)) continue
      heap[0] = i
      keys[0] = values[i]!
      sink(heap, keys, 0, size)
    }
  }
  for (let end = size - 1; end > 0; end--) {
    swap(heap, keys, 0, end)
    sink(heap, keys, 0, end)
  }
  return heap
}

function rankable(value: number): number {
  return Number.isNaN(value) ? -Infinity : value
}

function sink(heap: Uint32Array, keys: Float64Array, start: number, size: number): void {
  for (let at = start; ; ) {
    let worst = at
    const left = 2 * at + 1
    if (left < size && isWorse(heap, keys, left, worst)) worst = left
    if (left + 1 < size && isWorse(heap, keys, left + 1, worst)) worst = left + 1
    if (worst === at) return
    swap(heap, keys, at, worst)
    at = worst
  }
}

function isWorse(heap: Uint32Array, keys: Float64Array, a: number, b: number): boolean {
  return keys[a]! < keys[b]! || (keys[a] === keys[b] && heap[a]! > heap[b]!)
}

function swap(heap: Uint32Array, keys: Float64Array, a: number, b: number): void {
  const index = heap[a]!
  const key = keys[a]!
  heap[a] = heap[b]!
  keys[a] = keys[b]!
  heap[b] = index
  keys[b] = key
}
