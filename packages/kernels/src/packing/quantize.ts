import { f16ToFloat, floatToBf16, floatToF16 } from '@hass-engine/core'
import type { DeviceDType } from '../program.js'
import { roundToInteger } from '../reference/arithmetic.js'
import { subBlockNibble, subBlockScales, type WeightFormat } from './formats.js'

const fround = Math.fround
const nanCode = 0x7e00

/** Rows of a device dtype as file bytes, and the format that backends read them in. */
export interface EncodedRows {
  readonly format: WeightFormat
  readonly bytes: Uint8Array
}

/** Rounds floats to a device dtype; packed ones as native/NUMERICS.md, "Quantizing floats". */
export function encodeFloats(values: Float32Array, dtype: DeviceDType): EncodedRows {
  switch (dtype) {
    case 'Q4':
      return { format: 'Q4_1', bytes: encodeQ4(values) }
    case 'Q8':
      return encodeQ8(values).encoded
    case 'F16':
      return { format: 'F16', bytes: bytesOf(Uint16Array.from(values, floatToF16)) }
    case 'BF16':
      return { format: 'BF16', bytes: bytesOf(Uint16Array.from(values, floatToBf16)) }
    default:
      return { format: 'F32', bytes: bytesOf(values) }
  }
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

/** Smallest, largest and largest absolute value of a block; undefined if it holds a NaN or an infinity. */
function extremes(values: Float32Array, at: number): { low: number; high: number; magnitude: number } | undefined {
  let [low, high] = [Infinity, -Infinity]
  for (let i = at; i < at + 32; i++) {
    const value = values[i]!
    if (!Number.isFinite(value)) return undefined
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  return { low, high, magnitude: Math.max(Math.abs(low), Math.abs(high)) }
}

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high)

/** Rounds floats to `Q8`, and tells the largest absolute difference; infinite where a number became none. */
export function encodeQ8(values: Float32Array): { readonly encoded: EncodedRows; readonly error: number } {
  const bytes = new Uint8Array((values.length / 32) * 34)
  const view = new DataView(bytes.buffer)
  let error = 0
  for (let from = 0, at = 0; from < values.length; from += 32, at += 34) {
    const magnitude = largestMagnitude(values, from)
    const areNumbers = magnitude < Infinity
    const code = areNumbers ? floatToF16(fround(magnitude / 127)) : nanCode
    const scale = f16ToFloat(code)
    view.setUint16(at, code, true)
    if (!areNumbers) {
      if (values.subarray(from, from + 32).some((value) => !Number.isNaN(value))) error = Infinity
      continue
    }
    for (let i = 0; i < 32; i++) {
      const value = values[from + i]!
      const quant = scale === 0 ? 0 : roundToInteger(clamp(fround(value / scale), -127, 127))
      bytes[at + 2 + i] = quant
      const difference = Math.abs(value - fround(scale * quant))
      // An infinite scale gives no number.
      if (!(difference <= error)) error = Number.isNaN(difference) ? Infinity : difference
    }
  }
  return { encoded: { format: 'Q8_0', bytes }, error }
}

/** Of a block; infinite if it holds a NaN or an infinity. */
function largestMagnitude(values: Float32Array, from: number): number {
  let largest = 0
  for (let i = from; i < from + 32; i++) {
    const magnitude = Math.abs(values[i]!)
    if (!(magnitude <= largest)) largest = Number.isNaN(magnitude) ? Infinity : magnitude
  }
  return largest
}

function encodeQ4(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / 32) * 20)
  const view = new DataView(bytes.buffer)
  for (let from = 0, at = 0; from < values.length; from += 32, at += 20) {
    const found = extremes(values, from)
    if (!found) {
      view.setUint16(at, nanCode, true)
      continue
    }
    const minimumCode = floatToF16(found.low)
    const minimum = f16ToFloat(minimumCode)
    const code = floatToF16(fround(fround(found.high - minimum) / 15))
    const scale = f16ToFloat(code)
    view.setUint16(at, code, true)
    view.setUint16(at + 2, minimumCode, true)
    if (scale === 0) continue
    const quant = (i: number) => roundToInteger(clamp(fround(fround(values[from + i]! - minimum) / scale), 0, 15))
    for (let i = 0; i < 16; i++) bytes[at + 4 + i] = quant(i) | (quant(i + 16) << 4)
  }
  return bytes
}

/** Q5_0's five bits are eight bits of the same scale: every value is kept. */
export function repackQ5(source: Uint8Array): EncodedRows {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength)
  const bytes = new Uint8Array((source.length / 22) * 34)
  for (let from = 0, at = 0; from < source.length; from += 22, at += 34) {
    bytes[at] = source[from]!
    bytes[at + 1] = source[from + 1]!
    const high = view.getUint32(from + 2, true)
    for (let i = 0; i < 16; i++) {
      const byte = source[from + 6 + i]!
      bytes[at + 2 + i] = ((byte & 15) | (((high >>> i) & 1) << 4)) - 16
      bytes[at + 18 + i] = ((byte >> 4) | (((high >>> (i + 16)) & 1) << 4)) - 16
    }
  }
  return { format: 'Q8_0', bytes }
}

/** Q4_K's quants stay; only d · scale and dmin · minimum are rounded to float16, once for each 32. */
export function repackQ4K(source: Uint8Array): EncodedRows {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength)
  const bytes = new Uint8Array((source.length / 144) * 160)
  const target = new DataView(bytes.buffer)
  for (let from = 0, at = 0; from < source.length; from += 144) {
    const d = f16ToFloat(view.getUint16(from, true))
    const dmin = f16ToFloat(view.getUint16(from + 2, true))
    for (let j = 0; j < 8; j++, at += 20) {
      const [scale, minimum] = subBlockScales(view, from + 4, j)
      target.setUint16(at, floatToF16(fround(d * scale)), true)
      target.setUint16(at + 2, floatToF16(-fround(dmin * minimum)), true)
      for (let i = 0; i < 16; i++) {
        const low = subBlockNibble(view, from + 16, j, i)
        bytes[at + 4 + i] = low | (subBlockNibble(view, from + 16, j, i + 16) << 4)
      }
    }
  }
  return { format: 'Q4_1', bytes }
}
