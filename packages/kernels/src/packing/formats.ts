import { bf16ToFloat, f16ToFloat, fp8ToFloat } from '@hass-engine/core'
import type { DeviceDType } from '../program.js'

/**
 * Formats that weights come in: float elements, blocks as GGUF files hold them, and F8_128: blocks of 128 elements, a
 * float32 scale and then as many e4m3 codes.
 */
export const weightFormats = [
  'F32',
  'F16',
  'BF16',
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
  'Q8_0',
  'Q4_K',
  'Q5_K',
  'Q6_K',
  'F8_128',
] as const
export type WeightFormat = (typeof weightFormats)[number]

/** How one block of a format is read. */
interface BlockFormat {
  /** Elements of a block. */
  readonly elements: number
  readonly bytes: number
  /** What the format maps onto best. */
  readonly dtype: DeviceDType
  decode(view: DataView, at: number, target: Float32Array, to: number): void
}

const f16At = (view: DataView, at: number) => f16ToFloat(view.getUint16(at, true))
const fround = Math.fround

/** Low nibbles are the first half of a block of 32, high nibbles the second. */
function nibble(view: DataView, at: number, i: number): number {
  const byte = view.getUint8(at + (i & 15))
  return i < 16 ? byte & 15 : byte >> 4
}

/** The fifth bit of element i of a Q5_0 or Q5_1 block. */
function fifthBit(view: DataView, at: number, i: number): number {
  return ((view.getUint32(at, true) >>> i) & 1) << 4
}

/** The six-bit scale and minimum of sub-block j of a Q4_K or Q5_K block, packed in 12 bytes. */
export function subBlockScales(view: DataView, at: number, j: number): readonly [scale: number, minimum: number] {
  const byte = (i: number) => view.getUint8(at + i)
  if (j < 4) return [byte(j) & 63, byte(j + 4) & 63]
  return [(byte(j + 4) & 15) | ((byte(j - 4) >> 6) << 4), (byte(j + 4) >> 4) | ((byte(j) >> 6) << 4)]
}

/** The quant of element i of sub-block j of a Q4_K block: pairs of sub-blocks share 32 bytes. */
export function subBlockNibble(view: DataView, at: number, j: number, i: number): number {
  const byte = view.getUint8(at + (j >> 1) * 32 + i)
  return j & 1 ? byte >> 4 : byte & 15
}

function simple(
  bytes: number,
  dtype: DeviceDType,
  quant: (view: DataView, at: number, i: number) => number,
  hasMinimum: boolean,
): BlockFormat {
  return {
    elements: 32,
    bytes,
    dtype,
    decode(view, at, target, to) {
      const scale = f16At(view, at)
      const minimum = hasMinimum ? f16At(view, at + 2) : 0
      for (let i = 0; i < 32; i++) target[to + i] = fround(scale * quant(view, at, i)) + minimum
    },
  }
}

function float(bytes: number, dtype: DeviceDType, read: (view: DataView, at: number) => number): BlockFormat {
  return {
    elements: 1,
    bytes,
    dtype,
    decode(view, at, target, to) {
      target[to] = read(view, at)
    },
  }
}

/** Super-blocks of 256 with eight sub-blocks of 32: d, dmin, 12 bytes of scales, then quants. */
function superBlock(
  bytes: number,
  dtype: DeviceDType,
  quant: (view: DataView, at: number, j: number, i: number) => number,
): BlockFormat {
  return {
    elements: 256,
    bytes,
    dtype,
    decode(view, at, target, to) {
      for (let j = 0; j < 8; j++) {
        const [scale, minimum] = subBlockScales(view, at + 4, j)
        const d = fround(f16At(view, at) * scale)
        const m = fround(f16At(view, at + 2) * minimum)
        for (let i = 0; i < 32; i++) target[to + j * 32 + i] = fround(d * quant(view, at, j, i)) - m
      }
    },
  }
}

/** 128 bytes of low nibbles, 64 of high bit pairs, 16 signed scales of 16 elements, d. */
const q6K: BlockFormat = {
  elements: 256,
  bytes: 210,
  dtype: 'Q8',
  decode(view, at, target, to) {
    const d = f16At(view, at + 208)
    for (let i = 0; i < 256; i++) {
      const [half, quarter, lane] = [i >> 7, (i >> 5) & 3, i & 31]
      const low = view.getUint8(at + half * 64 + (quarter & 1) * 32 + lane)
      const high = view.getUint8(at + 128 + half * 32 + lane)
      const quant = ((quarter < 2 ? low & 15 : low >> 4) | (((high >> (2 * quarter)) & 3) << 4)) - 32
      target[to + i] = fround(d * view.getInt8(at + 192 + (i >> 4))) * quant
    }
  },
}

const f8Block: BlockFormat = {
  elements: 128,
  bytes: 132,
  dtype: 'F8',
  decode(view, at, target, to) {
    const scale = view.getFloat32(at, true)
    for (let i = 0; i < 128; i++) target[to + i] = scale * fp8ToFloat(view.getUint8(at + 4 + i))
  },
}

export const blockFormats: Readonly<Record<WeightFormat, BlockFormat>> = {
  F32: float(4, 'F32', (view, at) => view.getFloat32(at, true)),
  F16: float(2, 'F16', f16At),
  BF16: float(2, 'BF16', (view, at) => bf16ToFloat(view.getUint16(at, true))),
  Q4_0: simple(18, 'Q4', (view, at, i) => nibble(view, at + 2, i) - 8, false),
  Q4_1: simple(20, 'Q4', (view, at, i) => nibble(view, at + 4, i), true),
  Q5_0: simple(22, 'Q8', (view, at, i) => (nibble(view, at + 6, i) | fifthBit(view, at + 2, i)) - 16, false),
  Q5_1: simple(24, 'Q8', (view, at, i) => nibble(view, at + 8, i) | fifthBit(view, at + 4, i), true),
  Q8_0: simple(34, 'Q8', (view, at, i) => view.getInt8(at + 2 + i), false),
  Q4_K: superBlock(144, 'Q4K', (view, at, j, i) => subBlockNibble(view, at + 16, j, i)),
  Q5_K: superBlock(
    176,
    'Q8',
    (view, at, j, i) => subBlockNibble(view, at + 48, j, i) | (((view.getUint8(at + 16 + i) >> j) & 1) << 4),
  ),
  Q6_K: q6K,
  F8_128: f8Block,
}

/** Widens the blocks of a format to float32. */
export function decodeBlocks(format: WeightFormat, bytes: Uint8Array): Float32Array {
  const { elements, bytes: stride, decode } = blockFormats[format]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const target = new Float32Array((bytes.length / stride) * elements)
  if (format === 'F16') {
    widenF16(view, target)
    return target
  }
  for (let at = 0, to = 0; at < bytes.length; at += stride, to += elements) decode(view, at, target, to)
  return target
}

/** What `f16ToFloat` gives for each, most of it by moving bits. */
function widenF16(codes: DataView, target: Float32Array): void {
  const bits = new Uint32Array(target.buffer)
  for (let i = 0; i < target.length; i++) {
    const code = codes.getUint16(2 * i, true)
    const magnitude = code & 0x7fff
    const isNormal = magnitude >= 0x400 && magnitude < 0x7c00
    if (isNormal) bits[i] = ((code & 0x8000) << 16) | ((magnitude << 13) + ((127 - 15) << 23))
    else target[i] = f16ToFloat(code)
  }
}
