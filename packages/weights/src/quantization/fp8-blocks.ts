/**
 * Multiplies each element with its block's factor, in place: `w[i][j] = fp8[i][j] · scale[i / 128][j / 128]`.
 *
 * @param values `[rows, columns] float32`, the widened FP8 elements
 * @param scales `[ceil(rows / blockRows), ceil(columns / blockColumns)] float32`
 */
export function dequantizeFp8Blocks(
  values: Float32Array,
  scales: Float32Array,
  shape: readonly number[],
  [blockRows, blockColumns]: readonly [number, number],
): Float32Array {
  const [rows = 0, columns = 0] = shape
  const scaleColumns = Math.ceil(columns / blockColumns)
  for (let row = 0; row < rows; row++) {
    const scaleRow = Math.floor(row / blockRows) * scaleColumns
    for (let block = 0; block < scaleColumns; block++) {
      const scale = scales[scaleRow + block]!
      const end = row * columns + Math.min((block + 1) * blockColumns, columns)
      for (let i = row * columns + block * blockColumns; i < end; i++) values[i]! *= scale
    }
  }
  return values
}
