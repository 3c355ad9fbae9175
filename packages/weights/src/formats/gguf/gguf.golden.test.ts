import { GGMLQuantizationType, gguf } from '@huggingface/gguf'
import { describe, expect, it } from 'vitest'
import {
  floats,
  goldenPath,
  listGolden,
  readGoldenJson,
  readGoldenTensors,
} from '../../../../../test/support/golden.js'
import { openFileSource } from '../../source/file-source.js'
import { openGguf } from './gguf.js'
import type { GgufValue } from './metadata.js'

const open = async (file: string) => openGguf(await openFileSource(goldenPath('gguf', file)))
const files = listGolden('gguf', /\.gguf$/)

function expectClose(found: Float32Array, expected: Float32Array, name: string) {
  expect(found.length, name).toBe(expected.length)
  for (let i = 0; i < expected.length; i++) {
    const tolerance = 1e-6 + 1e-6 * Math.abs(expected[i]!)
    if (!(Math.abs(found[i]! - expected[i]!) <= tolerance)) {
      expect.fail(`${name}[${i}] is ${found[i]}, expected ${expected[i]}`)
    }
  }
}

describe('golden GGUF', () => {
  it('has files', () => expect(files.length).toBeGreaterThan(0))

  it('dequantizes every type', async () => {
    const { tensors } = await open('types.gguf')
    const expected = readGoldenTensors('gguf', 'types.expected.safetensors')
    const described = readGoldenJson('gguf', 'types.json').tensors as Record<string, { type: string; shape: number[] }>
    expect([...tensors.keys()].sort()).toEqual([...expected.keys()].sort())
    for (const [name, { type, shape }] of Object.entries(described)) {
      expect(tensors.get(name)).toMatchObject({ dtype: type, shape })
    }
    for (const [name, { shape }] of expected) {
      expect(tensors.get(name)!.shape, name).toEqual(shape)
      expectClose(await tensors.get(name)!.readFloat32(), floats(expected, name), name)
    }
  })

  it('reads metadata of every value type', async () => {
    const { metadata } = await open('types.gguf')
    const expected = readGoldenJson('gguf', 'types.json').metadata as Record<string, { type: string; value: unknown }>
    expect(Object.keys(expected).length).toBeGreaterThan(0)
    for (const [key, { type, value }] of Object.entries(expected)) {
      const found = metadata.get(key)
      if (type.endsWith('int64')) expect(String(found), key).toBe(value)
      else expect(found, key).toEqual(value)
    }
  })

  it('knows the type of every tensor of every model', async () => {
    const models = readGoldenJson('gguf', 'models.json').models as Record<string, Record<string, string>>
    for (const [file, types] of Object.entries(models)) {
      const { tensors } = await open(file)
      expect(Object.fromEntries([...tensors].map(([name, { dtype }]) => [name, dtype]))).toEqual(types)
    }
  })

  it.each(files)('%s is read as another reader reads it', async (file) => {
    const { metadata, tensors, version } = await open(file)
    const oracle = await gguf(goldenPath('gguf', file), { allowLocalFile: true })
    const expected = new Map(Object.entries(oracle.metadata))
    expect(version).toBe(expected.get('version'))
    for (const [key, value] of metadata)
      expect(comparable(value), key).toEqual(comparable(expected.get(key) as GgufValue))
    expect(metadata.size).toBe([...expected.keys()].filter((key) => key.includes('.')).length)
    expect(
      [...tensors.values()].map(({ name, dtype, shape, offset }) => ({ name, dtype, shape: [...shape], offset })),
    ).toEqual(
      oracle.tensorInfos.map(({ name, dtype, shape, offset }) => ({
        name,
        dtype: GGMLQuantizationType[dtype],
        shape: shape.map(Number).reverse(),
        offset: Number(oracle.tensorDataOffset + offset),
      })),
    )
  })
})

/** The other reader gives every 64-bit integer as bigint. */
function comparable(value: GgufValue): unknown {
  return Array.isArray(value)
    ? value.map(comparable)
    : typeof value === 'bigint'
      ? String(value)
      : typeof value === 'number' && Number.isInteger(value)
        ? String(value)
        : value
}
