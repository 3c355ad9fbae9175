import { f16ToFloat } from '@hass-engine/core'
import type { GgmlBlock } from './ggml-block.js'

/*
 * Blocks of 32: a factor d, for the _1 types a minimum m, then the codes. Of 4-bit codes byte j holds element j in
 * its low half and element j + 16 in its high half; the fifth bits of the 5-bit types stand before them as a
 * 32-bit word, bit i for element i.
 */

const blockElements = 32
const half = blockElements / 2

function f16(view: DataView, at: number): number {
  return f16ToFloat(view.getUint16(at, true))
}

export const simpleBlocks = {
  /** x = d · q, q in -128..127 */
  Q8_0: {
    blockElements,
    blockBytes: 34,
    dequantize(view, at, out, to) {
      const d = f16(view, at)
      for (let i = 0; i < blockElements; i++) out[to + i] = d * view.getInt8(at + 2 + i)
    },
  },
  /** x = d · (q - 8) */
  Q4_0: {
    blockElements,
    blockBytes: 18,
    dequantize(view, at, out, to) {
      const d = f16(view, at)
      for (let j = 0; j < half; j++) {
        const byte = view.getUint8(at + 2 + j)
        out[to + j] = d * ((byte & 15) - 8)
        out[to + j + half] = d * ((byte >> 4) - 8)
      }
    },
  },
  /** x = d · q + m */
  Q4_1: {
    blockElements,
    blockBytes: 20,
    dequantize(view, at, out, to) {
      const d = f16(view, at)
      const m = f16(view, at + 2)
      for (let j = 0; j < half; j++) {
        const byte = view.getUint8(at + 4 + j)
        out[to + j] = d * (byte & 15) + m
        out[to + j + half] = d * (byte >> 4) + m
      }
    },
  },
  /** x = d · (q - 16) */
  Q5_0: {
    blockElements,
    blockBytes: 22,
    dequantize(view, at, out, to) {
      const d = f16(view, at)
      const high = view.getUint32(at + 2, true)
      for (let j = 0; j < half; j++) {
        const byte = view.getUint8(at + 6 + j)
        out[to + j] = d * (((byte & 15) | (((high >>> j) & 1) << 4)) - 16)
        out[to + j + half] = d * (((byte >> 4) | (((high >>> (j + half)) & 1) << 4)) - 16)
      }
    },
  },
  /** x = d · q + m */
  Q5_1: {
    blockElements,
    blockBytes: 24,
    dequantize(view, at, out, to) {
      const d = f16(view, at)
      const m = f16(view, at + 2)
      const high = view.getUint32(at + 4, true)
      for (let j = 0; j < half; j++) {
        const byte = view.getUint8(at + 8 + j)
        out[to + j] = d * ((byte & 15) | (((high >>> j) & 1) << 4)) + m
        out[to + j + half] = d * ((byte >> 4) | (((high >>> (j + half)) & 1) << 4)) + m
      }
    },
  },
} satisfies Record<string, GgmlBlock>
