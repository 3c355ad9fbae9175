import { createTensorSource, descriptionOf, type TensorSource } from '../tensor-source.js'

/**
 * Undoes the reordering of rows with which LLaMA files in GGUF store query and key projections.
 *
 * There, the two halves of each rotary pair lie next to each other: row `2j + s` of a head is what Hugging Face has as
 * row `s · headSize / 2 + j`. Rows move as a whole, so quantized blocks stay as they are.
 *
 * @param tensor `[heads · headSize, columns]`, or a bias `[heads · headSize]`
 */
export function undoRotaryPairing(tensor: TensorSource, headSize: number): TensorSource {
  const rows = tensor.shape[0]!
  const rowBytes = tensor.byteLength / rows
  const headBytes = headSize * rowBytes
  return createTensorSource({ ...descriptionOf(tensor), isVerbatim: false }, async (target) => {
    await tensor.readInto(target)
    const paired = new Uint8Array(headBytes)
    for (let head = 0; head < target.byteLength; head += headBytes) {
      paired.set(target.subarray(head, head + headBytes))
      for (let row = 0; row < headSize; row++) {
        const to = (row % 2 === 0 ? row / 2 : headSize / 2 + (row - 1) / 2) * rowBytes
        target.set(paired.subarray(row * rowBytes, (row + 1) * rowBytes), head + to)
      }
    }
  })
}
