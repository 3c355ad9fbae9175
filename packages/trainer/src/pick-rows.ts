/**
 * A copy of some rows.
 *
 * @param data `[…, columns]`, row-major
 * @param shift added to each row's number
 */
export function pickRows(data: Float32Array, rows: ArrayLike<number>, shift: number, columns: number): Float32Array {
  const picked = new Float32Array(rows.length * columns)
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]! + shift
    picked.set(data.subarray(row * columns, (row + 1) * columns), i * columns)
  }
  return picked
}
