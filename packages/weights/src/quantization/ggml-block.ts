/**
 * Dequantizes one block.
 *
 * @param view all bytes of the tensor, little-endian
 * @param at where the block begins
 * @param out receives the block's numbers from `to` on
 */
export type BlockDequantizer = (view: DataView, at: number, out: Float32Array, to: number) => void

/** A GGML block type: so many elements in so many bytes. */
export interface GgmlBlock {
  readonly blockElements: number
  readonly blockBytes: number
  readonly dequantize: BlockDequantizer
}
