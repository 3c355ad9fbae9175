import { floatToF16 } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { dequantizeFp8Blocks } from './fp8-blocks.js'
import { dequantizeGgml } from './ggml.js'

function block(f16: readonly number[], ...rest: readonly number[]): Uint8Array {
  return Uint8Array.of(...new Uint8Array(Uint16Array.from(f16, floatToF16).buffer), ...rest)
}

describe('dequantizeGgml', () => {
  it('reads blocks by hand', () => {
    const q8 = Array.from({ length: 32 }, (_, i) => (i - 16) & 0xff)
    expect([...dequantizeGgml(block([0.5], ...q8), 'Q8_0', 32)]).toEqual(q8.map((_, i) => (i - 16) / 2))
    const nibbles = Array.from({ length: 16 }, (_, j) => j | ((15 - j) << 4))
    const codes = [...nibbles.map((byte) => byte & 15), ...nibbles.map((byte) => byte >> 4)]
    expect([...dequantizeGgml(block([2], ...nibbles), 'Q4_0', 32)]).toEqual(codes.map((code) => 2 * (code - 8)))
    expect([...dequantizeGgml(block([2, -3], ...nibbles), 'Q4_1', 32)]).toEqual(codes.map((code) => 2 * code - 3))
  })

  it('reads bytes at any address', () => {
    const bytes = new Uint8Array(35)
    bytes.set(block([1], ...Array(32).fill(7)), 1)
    expect([...dequantizeGgml(bytes.subarray(1), 'Q8_0', 32)]).toEqual(Array(32).fill(7))
  })

  it('refuses parts of blocks', () => {
    const refused = expect.objectContaining({ code: 'HASS_ERR_INVALID_ARGUMENT' })
    expect(() => dequantizeGgml(new Uint8Array(33), 'Q8_0', 32)).toThrow(refused)
    expect(() => dequantizeGgml(new Uint8Array(17), 'Q8_0', 16)).toThrow(refused)
  })
})

describe('dequantizeFp8Blocks', () => {
  it('multiplies whole and partial blocks with their own factors', () => {
    const values = new Float32Array(15).fill(1)
    const scales = Float32Array.of(1, 2, 3, 4)
    expect([...dequantizeFp8Blocks(values, scales, [3, 5], [2, 3])]).toEqual([
      ...[1, 1, 1, 2, 2],
      ...[1, 1, 1, 2, 2],
      ...[3, 3, 3, 4, 4],
    ])
  })

  it('has nothing to do for empty tensors', () => {
    expect(dequantizeFp8Blocks(new Float32Array(0), new Float32Array(0), [0, 5], [2, 3])).toHaveLength(0)
  })
})
