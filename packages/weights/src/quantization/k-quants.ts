import { f16ToFloat } from '@hass-engine/core'
import type { GgmlBlock } from './ggml-block.js'

/*
 * Super-blocks of 256 elements: groups of 16 or 32 with small integer scales (and minima), which the block's float16
 * factors d (and dmin) turn into numbers. Codes of two and four bits are laid out in strips: one byte holds codes
 * that stand 32 elements apart.
 */

const blockElements = 256

function f16(view: DataView, at: number): number {
  return f16ToFloat(view.getUint16(at, true))
}

/** The 6-bit scale and minimum of group `group` (0 to 7) out of the 12 packed bytes of Q4_K and Q5_K. */
function scaleAndMin(view: DataView, at: number, group: number): [scale: number, min: number] {
  if (group < 4) return [view.getUint8(at + group) & 63, view.getUint8(at + group + 4) & 63]
  const low = view.getUint8(at + group + 4)
  return [
    (low & 15) | ((view.getUint8(at + group - 4) >> 6) << 4),
    (low >> 4) | ((view.getUint8(at + group) >> 6) << 4),
  ]
}

/** The signed 6-bit scale of group `group` (0 to 15) out of the 12 packed bytes of Q3_K, 32 subtracted. */
function signedScale(view: DataView, at: number, group: number): number {
  const low = (view.getUint8(at + (group & 7)) >> (group < 8 ? 0 : 4)) & 15
  const high = (view.getUint8(at + 8 + (group & 3)) >> (2 * (group >> 2))) & 3
  return (low | (high << 4)) - 32
}

/** Two neighbouring groups share 32 bytes, the first one their low halves. */
function nibble(view: DataView, at: number, group: number, i: number): number {
  return (view.getUint8(at + (group >> 1) * 32 + i) >> (4 * (group & 1))) & 15
}

/**
 * x = d · scale · q - dmin · min; 8 groups of 32: d, dmin, the packed scales and minima, then the codes.
 *
 * @param code q of element i of a group of the block at `at`
 */
function groupsWithMinima(
  blockBytes: number,
  code: (view: DataView, at: number, group: number, i: number) => number,
): GgmlBlock {
  return {
    blockElements,
    blockBytes,
    dequantize(view, at, out, to) {
      const d = f16(view, at)
      const dmin = f16(view, at + 2)
      for (let group = 0; group < 8; group++) {
        const [scale, min] = scaleAndMin(view, at + 4, group)
        for (let i = 0; i < 32; i++) out[to + group * 32 + i] = d * scale * code(view, at, group, i) - dmin * min
      }
    },
  }
}

export const kQuants = {
  /** x = d · scale · q - dmin · min; 16 groups of 16 */
  Q2_K: {
    blockElements,
    blockBytes: 84,
    dequantize(view, at, out, to) {
      const d = f16(view, at + 80)
      const dmin = f16(view, at + 82)
      for (let i = 0; i < blockElements; i++) {
        const scales = view.getUint8(at + (i >> 4))
        const code = (view.getUint8(at + 16 + (i >> 7) * 32 + (i & 31)) >> (2 * ((i >> 5) & 3))) & 3
        out[to + i] = d * (scales & 15) * code - dmin * (scales >> 4)
      }
    },
  },
  /** x = d · scale · (q - 4), the third bit of q apart; 16 groups of 16 */
  Q3_K: {
    blockElements,
    blockBytes: 110,
    dequantize(view, at, out, to) {
      const d = f16(view, at + 108)
      for (let i = 0; i < blockElements; i++) {
        const low = (view.getUint8(at + 32 + (i >> 7) * 32 + (i & 31)) >> (2 * ((i >> 5) & 3))) & 3
        const high = (view.getUint8(at + (i & 31)) >> (i >> 5)) & 1
        out[to + i] = d * signedScale(view, at + 96, i >> 4) * ((low | (high << 2)) - 4)
      }
    },
  },
  Q4_K: groupsWithMinima(144, (view, at, group, i) => nibble(view, at + 16, group, i)),
  /** A fifth bit of q stands apart. */
  Q5_K: groupsWithMinima(
    176,
    (view, at, group, i) => nibble(view, at + 48, group, i) | (((view.getUint8(at + 16 + i) >> group) & 1) << 4),
  ),
  /** x = d · scale · (q - 32), scale in -128..127; 16 groups of 16 */
  Q6_K: {
    blockElements,
    blockBytes: 210,
    dequantize(view, at, out, to) {
      const d = f16(view, at + 208)
      for (let i = 0; i < blockElements; i++) {
        const strip = (i >> 5) & 3
        const low = (view.getUint8(at + (i >> 7) * 64 + (strip & 1) * 32 + (i & 31)) >> (4 * (strip >> 1))) & 15
        const high = (view.getUint8(at + 128 + (i >> 7) * 32 + (i & 31)) >> (2 * strip)) & 3
        out[to + i] = d * view.getInt8(at + 192 + (i >> 4)) * ((low | (high << 4)) - 32)
      }
    },
  },
} satisfies Record<string, GgmlBlock>
