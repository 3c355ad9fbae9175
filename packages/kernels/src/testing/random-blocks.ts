import { floatToF16 } from '@hass-engine/core'
import { blockFormats } from '../packing/formats.js'
import type { EncodedRows } from '../packing/quantize.js'
import type { Random } from './random.js'

/** Weights of a dtype that no floats are rounded to: every integer or code that is a number, ordinary scales. */
export function randomBlocks(random: Random, dtype: 'Q4K' | 'F8', elements: number): EncodedRows {
  const format = dtype === 'Q4K' ? 'Q4_K' : 'F8_128'
  const { elements: blockElements, bytes: blockBytes } = blockFormats[format]
  const bytes = new Uint8Array((elements / blockElements) * blockBytes)
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.integer(0, 255)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < bytes.length; at += blockBytes) {
    if (dtype === 'Q4K') {
      view.setUint16(at, floatToF16((0.5 + random.next()) / 512), true)
      view.setUint16(at + 2, floatToF16((0.5 + random.next()) / 64), true)
    } else {
      view.setFloat32(at, (0.5 + random.next()) / 64, true)
      for (let i = at + 4; i < at + blockBytes; i++) if ((bytes[i]! & 127) === 127) bytes[i] = bytes[i]! ^ 1
    }
  }
  return { format, bytes }
}
