import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMemorySource } from '../source/byte-source.js'
import { buildSafetensors } from '../testing/build-safetensors.js'
import { expectRefusal, isParsedOrRefused } from '../testing/expect-refusal.js'
import { maxSafetensorsHeaderLength, openSafetensors } from './safetensors.js'

const open = (bytes: Uint8Array) => openSafetensors(createMemorySource(bytes, 'x.safetensors'))
const entry = (shape: unknown, begin: unknown, end: unknown, dtype: unknown = 'U8') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
})

const valid = buildSafetensors(
  { __metadata__: { format: 'pt' }, a: entry([2, 3], 0, 6), b: entry([], 6, 10, 'F32'), c: entry([0, 7], 10, 10) },
  10,
)

describe('openSafetensors', () => {
  it('reads names, shapes, metadata and bytes', async () => {
    const { tensors, metadata } = await open(valid)
    expect([...tensors.keys()]).toEqual(['a', 'b', 'c'])
    expect(metadata).toEqual(new Map([['format', 'pt']]))
    expect(tensors.get('a')).toMatchObject({ dtype: 'U8', shape: [2, 3], byteLength: 6, isVerbatim: true })
    expect([...(await tensors.get('a')!.read())]).toEqual([0, 1, 2, 3, 4, 5])
    const target = new Uint8Array(4)
    await tensors.get('b')!.readInto(target)
    expect([...target]).toEqual([6, 7, 8, 9])
    await tensors.get('a')!.readRange!(target, 1)
    expect([...target]).toEqual([1, 2, 3, 4])
    await expect(tensors.get('a')!.readRange!(target, 3)).rejects.toThrow(/offset in tensor a/)
    expect(await tensors.get('c')!.read()).toHaveLength(0)
  })

  it('has no opinion about numbers: NaN is a weight', async () => {
    const bytes = buildSafetensors({ a: entry([1], 0, 4, 'F32') }, 4)
    bytes.fill(0xff, bytes.length - 4)
    expect(await (await open(bytes)).tensors.get('a')!.readFloat32()).toEqual(Float32Array.of(Number.NaN))
  })

  it('keeps hostile names as names', async () => {
    const names = ['__proto__', 'constructor', 'toString', '']
    const header = names.map((name, i) => `${JSON.stringify(name)}:${JSON.stringify(entry([1], i, i + 1))}`).join()
    const { tensors } = await open(buildSafetensors(`{${header}}`, names.length))
    expect([...tensors.keys()]).toEqual(names)
    expect(Object.getPrototypeOf(tensors)).toBe(Map.prototype)
  })

  it('accepts a file without tensors', async () => {
    expect((await open(buildSafetensors('{}'))).tensors.size).toBe(0)
  })

  it('refuses every prefix', async () => {
    for (let length = 0; length < valid.length; length++) {
      const error = await expectRefusal(open(valid.subarray(0, length)))
      expect(error.code).toMatch(/TRUNCATED|HEADER_LENGTH/)
    }
  })

  it.each([2n ** 63n, 2n ** 64n - 1n, 1n, 0n, BigInt(valid.length) - 7n, BigInt(maxSafetensorsHeaderLength) + 1n])(
    'refuses the header length %s',
    async (length) => {
      const bytes = valid.slice()
      new DataView(bytes.buffer).setBigUint64(0, length, true)
      await expectRefusal(open(bytes), 'HASS_ERR_SAFETENSORS_HEADER_LENGTH')
    },
  )

  it('refuses a header beyond the cap without reading it', async () => {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(maxSafetensorsHeaderLength) + 1n, true)
    const source = {
      ...createMemorySource(bytes),
      size: 2 * maxSafetensorsHeaderLength,
    }
    await expectRefusal(openSafetensors(source), 'HASS_ERR_SAFETENSORS_HEADER_LENGTH')
  })

  const refused: [what: string, header: string | object, dataLength: number, code: string][] = [
    ['leading space', ' {}', 0, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['a list', '[1]', 0, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['metadata of numbers', { __metadata__: { a: 1 } }, 0, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['metadata that is a list', { __metadata__: [] }, 0, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['an entry that is no object', { a: 1 }, 0, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['a missing field', { a: { dtype: 'U8', shape: [1] } }, 1, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['an unknown field', { a: { ...entry([1], 0, 1), more: 1 } }, 1, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['another field instead', { a: { dtype: 'U8', shape: [1], offsets: [0, 1] } }, 1, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['a shape of text', { a: entry(['1'], 0, 1) }, 1, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['a shape that is no list', { a: entry(1, 0, 1) }, 1, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['three offsets', { a: { dtype: 'U8', shape: [1], data_offsets: [0, 1, 1] } }, 1, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['one offset', { a: { dtype: 'U8', shape: [1], data_offsets: [0] } }, 1, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['no offset', { a: { dtype: 'U8', shape: [1], data_offsets: [] } }, 1, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['offsets of text', { a: entry([1], '0', '1') }, 1, 'HASS_ERR_SAFETENSORS_HEADER'],
    ['an unknown dtype', { a: entry([1], 0, 1, 'F4') }, 1, 'HASS_ERR_DTYPE'],
    ['a dtype that is a number', { a: entry([1], 0, 1, 1) }, 1, 'HASS_ERR_DTYPE'],
    ['a dtype off a prototype', { a: entry([1], 0, 1, 'constructor') }, 1, 'HASS_ERR_DTYPE'],
    ['a wrong length', { a: entry([2], 0, 1) }, 1, 'HASS_ERR_SAFETENSORS_OFFSETS'],
    ['reversed offsets', { a: entry([1], 1, 0) }, 1, 'HASS_ERR_SAFETENSORS_OFFSETS'],
    ['negative offsets', { a: entry([1], -1, 0) }, 1, 'HASS_ERR_SAFETENSORS_OFFSETS'],
    ['an overlap', { a: entry([2], 0, 2), b: entry([2], 1, 3) }, 3, 'HASS_ERR_SAFETENSORS_OFFSETS'],
    ['two tensors of the same bytes', { a: entry([2], 0, 2), b: entry([2], 0, 2) }, 2, 'HASS_ERR_SAFETENSORS_OFFSETS'],
    ['a hole', { a: entry([1], 0, 1), b: entry([1], 2, 3) }, 3, 'HASS_ERR_SAFETENSORS_OFFSETS'],
    ['a hole in front', { a: entry([1], 1, 2) }, 2, 'HASS_ERR_SAFETENSORS_OFFSETS'],
    ['trailing bytes', { a: entry([1], 0, 1) }, 2, 'HASS_ERR_SAFETENSORS_OFFSETS'],
    ['an end behind the file', { a: entry([3], 0, 3) }, 2, 'HASS_ERR_TRUNCATED'],
    ['a negative dimension', { a: entry([-1], 0, 0) }, 0, 'HASS_ERR_SHAPE_OVERFLOW'],
    ['a shape past 2^64', { a: entry([2 ** 32, 2 ** 32], 0, 0) }, 0, 'HASS_ERR_SHAPE_OVERFLOW'],
    ['a zero behind an overflow', { a: entry([2 ** 32, 2 ** 32, 0], 0, 0) }, 0, 'HASS_ERR_SHAPE_OVERFLOW'],
    ['bytes past 2^53', { a: entry([2 ** 52], 0, 0, 'F64') }, 0, 'HASS_ERR_SHAPE_OVERFLOW'],
    ['many dimensions', { a: entry(Array(100).fill(2), 0, 1) }, 1, 'HASS_ERR_SHAPE_OVERFLOW'],
    [
      'a name twice',
      '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
      0,
      'HASS_ERR_DUPLICATE_NAME',
    ],
    [
      'a number that would be rounded',
      '{"a":{"dtype":"U8","shape":[0],"data_offsets":[9007199254740993,9007199254740993]}}',
      0,
      'HASS_ERR_JSON',
    ],
    ['a fraction', '{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', 1, 'HASS_ERR_JSON'],
    ['an exponent', '{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}', 1, 'HASS_ERR_JSON'],
  ]
  it.each(refused)('refuses %s', async (_, header, dataLength, code) => {
    await expectRefusal(open(buildSafetensors(header, dataLength)), code)
  })

  it('shows no more than a piece of a long name', async () => {
    const error = await expectRefusal(open(buildSafetensors({ ['x'.repeat(1e5)]: 1 })))
    expect(error.message.length).toBeLessThan(300)
  })

  it('parses or refuses whatever the bytes are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), (bytes) => isParsedOrRefused(open(bytes))),
      { numRuns: 500 },
    )
    await fc.assert(
      fc.asyncProperty(fc.json(), fc.nat(20), (json, length) =>
        isParsedOrRefused(open(buildSafetensors(json, length))),
      ),
      { numRuns: 500 },
    )
    const header = valid.length - 10
    await fc.assert(
      fc.asyncProperty(fc.nat(header - 1), fc.nat(255), (at, byte) => {
        const bytes = valid.slice()
        bytes[at] = byte
        return isParsedOrRefused(open(bytes))
      }),
      { numRuns: 1000 },
    )
  })
})
