import type { Fp8Quantization, TensorSource } from '@hass-engine/weights'

/** Columns of an F8_128 block. */
const blockColumns = 128

/** FP8 weights whose columns share scales as F8_128 blocks do. */
export type Fp8Source = TensorSource & { readonly quantization: Fp8Quantization }

/** True if rows of the tensor are whole F8_128 blocks. */
export function isFp8Blocks(source: TensorSource): source is Fp8Source {
  const { quantization, shape } = source
  if (quantization?.format !== 'fp8-blocks') return false
  return shape.length === 2 && shape[1]! % blockColumns === 0 && quantization.blockShape[1] === blockColumns
}

/**
 * Reads rows as F8_128 blocks: each with the float32 scale of its rows and columns, then its codes.
 *
 * @param readCodes `[numRows, columns]` codes from row `firstRow` on
 */
export function fp8RowReader(
  source: Fp8Source,
  readCodes: (firstRow: number, numRows: number) => Promise<Uint8Array>,
): (firstRow: number, numRows: number) => Promise<Uint8Array> {
  const { scales, blockShape } = source.quantization
  const blocks = source.shape[1]! / blockColumns
  let reading: Promise<Float32Array> | undefined
  return async (firstRow, numRows) => {
    reading ??= scales.readFloat32()
    const [factors, codes] = await Promise.all([reading, readCodes(firstRow, numRows)])
    const bytes = new Uint8Array(numRows * blocks * (4 + blockColumns))
    const view = new DataView(bytes.buffer)
    for (let row = 0, from = 0, at = 0; row < numRows; row++) {
      const scaleRow = Math.floor((firstRow + row) / blockShape[0]) * blocks
      for (let block = 0; block < blocks; block++, from += blockColumns, at += 4 + blockColumns) {
        view.setFloat32(at, factors[scaleRow + block]!, true)
        bytes.set(codes.subarray(from, from + blockColumns), at + 4)
      }
    }
    return bytes
  }
}
