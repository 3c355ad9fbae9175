import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { floats, goldenPath, listGolden, readGoldenTensors } from '../../../../test/support/golden.js'
import { openDevice } from '../device.js'
import { createGraph } from '../graph/graph.js'
import { blockFormats, decodeBlocks, type WeightFormat, weightFormats } from './formats.js'
import type { WeightSource } from './prepare.js'

const typeNames: Record<number, string> = {
  0: 'F32',
  1: 'F16',
  2: 'Q4_0',
  3: 'Q4_1',
  6: 'Q5_0',
  7: 'Q5_1',
  8: 'Q8_0',
  12: 'Q4_K',
  13: 'Q5_K',
  14: 'Q6_K',
  30: 'BF16',
}

/** The tensors of a well-formed GGUF file. Deliberately without checks and independent of the weights package. */
function readGguf(path: string): (WeightSource & { data: Uint8Array })[] {
  const file = readFileSync(path)
  let at = 8
  const skipBytes = (count: number) => {
    at += count
    return at - count
  }
  const u32 = () => file.readUInt32LE(skipBytes(4))
  const u64 = () => Number(file.readBigUInt64LE(skipBytes(8)))
  const text = () => {
    const length = u64()
    return file.toString('utf8', skipBytes(length), at)
  }
  const sizes: Record<number, number> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 }
  let alignment = 32
  const skip = (type: number, key = ''): void => {
    if (type === 8) text()
    else if (type === 9) {
      const [inner, count] = [u32(), u64()]
      for (let i = 0; i < count; i++) skip(inner)
    } else {
      if (key === 'general.alignment') alignment = file.readUInt32LE(at)
      skipBytes(sizes[type]!)
    }
  }
  const [numTensors, numPairs] = [u64(), u64()]
  for (let i = 0; i < numPairs; i++) {
    const key = text()
    skip(u32(), key)
  }
  const infos = Array.from({ length: numTensors }, () => {
    const name = text()
    const shape = Array.from({ length: u32() }, u64).reverse()
    return { name, shape, format: typeNames[u32()] as WeightFormat, offset: u64() }
  })
  const start = Math.ceil(at / alignment) * alignment
  return infos
    .filter(({ format }) => weightFormats.includes(format))
    .map(({ offset, ...info }) => {
      const elements = info.shape.reduce((product, extent) => product * extent, 1)
      const { bytes, elements: block } = blockFormats[info.format]
      return {
        ...info,
        data: new Uint8Array(file.subarray(start + offset, start + offset + (elements / block) * bytes)),
      }
    })
}

const files = listGolden('gguf', /^types.*\.gguf$/)

describe.each(files)('%s', (file) => {
  const tensors = readGguf(goldenPath('gguf', file))
  const expected = readGoldenTensors('gguf', file.replace('.gguf', '.expected.safetensors'))
  const device = openDevice({ kind: 'reference' })
  afterAll(() => device.dispose())

  it.each(tensors.map((tensor) => [tensor.format, tensor] as const))('decodes %s', (format, { name, data }) => {
    const values = floats(expected, name)
    const found = decodeBlocks(format, data)
    const worst = found.reduce(
      (max, value, i) => Math.max(max, Math.abs(value - values[i]!) / (Math.abs(values[i]!) + 1)),
      0,
    )
    expect(found.length).toBe(values.length)
    expect(worst).toBeLessThan(1e-6)
  })

  const matrices = tensors.filter(({ shape }) => shape.length === 2)
  it.each(matrices.map((tensor) => [tensor.format, tensor] as const))(
    'keeps what it says of %s',
    async (format, source) => {
      const [rows, columns] = source.shape as [number, number]
      const weight = await device.upload(source)
      const g = createGraph('table')
      const tokens = g.input('tokens', 'U32', [g.dimension('rows', rows)])
      g.output('y', g.embedding(tokens, g.weight('weight', weight.dtype, weight.shape)))
      const outputs = await device.compile(g, { bindings: { weight } }).run({
        inputs: { tokens: Uint32Array.from({ length: rows }, (_, i) => i) },
      })
      const values = decodeBlocks(format, source.data)
      const found = outputs.y!.readAll() as Float32Array
      const worst = found.reduce((max, value, i) => Math.max(max, Math.abs(value - values[i]!)), 0)
      const largest = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0)
      expect(found.length).toBe(rows * columns)
      expect(weight.conversion).toEqual({ formats: [format], isExact: worst === 0, maxError: worst })
      expect(weight.conversion.isExact).toBe(!['Q5_1', 'Q5_K', 'Q6_K'].includes(format))
      // Half a step of eight bits.
      expect(worst).toBeLessThan(largest / 200)
    },
  )
})

it('has golden formats to look at', () => {
  expect(files.length).toBeGreaterThan(0)
})
