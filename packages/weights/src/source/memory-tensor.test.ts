import { describe, expect, it } from 'vitest'
import { createMemoryTensor } from './memory-tensor.js'

const values = Float32Array.of(9, 1, 2, 3, 4, 5, 6)
const tensor = createMemoryTensor({ name: 'fc.weight', dtype: 'F32', shape: [2, 3], data: values.subarray(1) })

describe('createMemoryTensor', () => {
  it('gives the elements of a view, and not what lies before it', async () => {
    expect(tensor).toMatchObject({ name: 'fc.weight', dtype: 'F32', shape: [2, 3], byteLength: 24, file: 'memory' })
    expect(await tensor.readFloat32()).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6))
  })

  it('reads a part', async () => {
    const target = new Uint8Array(8)
    await tensor.readRange!(target, 12)
    expect(new Float32Array(target.buffer)).toEqual(Float32Array.of(4, 5))
  })

  it('gives copies', async () => {
    const [first, second] = [await tensor.read(), await tensor.read()]
    first.fill(255)
    expect(new Float32Array(second.buffer)).toEqual(Float32Array.of(1, 2, 3, 4, 5, 6))
    expect(values[1]).toBe(1)
  })

  it('refuses data of another size', () => {
    const create = () => createMemoryTensor({ name: 'd2t', dtype: 'I64', shape: [3], data: new BigInt64Array(2) })
    expect(create).toThrow('Tensor d2t has 16 bytes, expected 24 for [3] I64.')
  })
})
