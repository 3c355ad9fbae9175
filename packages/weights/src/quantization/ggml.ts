import { InvalidArgumentError } from '@hass-engine/core'
import type { GgmlBlock } from './ggml-block.js'
import { kQuants } from './k-quants.js'
import { simpleBlocks } from './simple-blocks.js'

const blocks = { ...simpleBlocks, ...kQuants } satisfies Record<string, GgmlBlock>

export type GgmlQuantizedType = keyof typeof blocks

/** Weights in GGML blocks; a row is a whole number of blocks, and no block spans rows. */
export interface GgmlQuantization {
  readonly format: 'ggml'
  readonly type: GgmlQuantizedType
  readonly blockElements: number
  readonly blockBytes: number
}

export function ggmlQuantization(type: GgmlQuantizedType): GgmlQuantization {
  const { blockElements, blockBytes } = blocks[type]
  return { format: 'ggml', type, blockElements, blockBytes }
}

/**
 * The numbers that GGML blocks stand for: the plain reference, with one rounding to float32 per element at most
 * where the formula has one addition.
 *
 * @param bytes whole blocks
 * @param elements the numbers that they must hold
 * @throws InvalidArgumentError if the byte count does not fit
 */
export function dequantizeGgml(bytes: Uint8Array, type: GgmlQuantizedType, elements: number): Float32Array {
  const { blockElements, blockBytes, dequantize } = blocks[type]
  if (bytes.byteLength * blockElements !== elements * blockBytes || elements % blockElements !== 0) {
    throw new InvalidArgumentError(
      `${elements} ${type} elements take ${(elements / blockElements) * blockBytes} bytes in whole blocks, found ${bytes.byteLength}.`,
      { type, elements, byteLength: bytes.byteLength },
    )
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const out = new Float32Array(elements)
  for (let at = 0, to = 0; to < elements; at += blockBytes, to += blockElements) dequantize(view, at, out, to)
  return out
}
