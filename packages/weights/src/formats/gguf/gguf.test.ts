import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { goldenPath } from '../../../../../test/support/golden.js'
import { createMemorySource } from '../../source/byte-source.js'
import { buildGguf, type GgufToBuild, ggufArray, ggufString, ggufUint32 } from '../../testing/build-gguf.js'
import { expectRefusal, isParsedOrRefused } from '../../testing/expect-refusal.js'
import { openGguf } from './gguf.js'

const open = (file: GgufToBuild | Uint8Array) =>
  openGguf(createMemorySource(file instanceof Uint8Array ? file : buildGguf(file), 'x.gguf'))

const vector = (name: string, offset = 0, length = 8) => ({ name, dims: [length], type: 0, offset })
const valid: GgufToBuild = {
  pairs: [
    ['general.architecture', 8, ggufString('llama')],
    ['x.tokens', 9, ggufArray(8, 2, ggufString('a'), ggufString('é'))],
    ['x.wide', 10, (writer) => writer.uint(7, 8)],
    ['x.negative', 11, (writer) => writer.uint(-7, 8)],
    ['x.no', 7, (writer) => writer.uint(0, 1)],
    ['x.nested', 9, ggufArray(9, 2, ggufArray(0, 0), ggufArray(4, 1, ggufUint32(7)))],
  ],
  tensors: [vector('a'), { name: 'b', dims: [32, 2], type: 8, offset: 32 }],
  data: new Uint8Array(128),
}

describe('openGguf', () => {
  it('reads metadata and tensors', async () => {
    const { version, metadata, tensors } = await open(valid)
    expect(version).toBe(3)
    expect([...metadata]).toEqual([
      ['general.architecture', 'llama'],
      ['x.tokens', ['a', 'é']],
      ['x.wide', 7],
      ['x.negative', -7],
      ['x.no', false],
      ['x.nested', [[], [7]]],
    ])
    expect(tensors.get('a')).toMatchObject({ dtype: 'F32', shape: [8], byteLength: 32 })
    expect(tensors.get('b')).toMatchObject({
      dtype: 'Q8_0',
      shape: [2, 32],
      byteLength: 68,
      quantization: { format: 'ggml', type: 'Q8_0', blockElements: 32, blockBytes: 34 },
    })
  })

  it('reads version 2, another alignment, empty and scalar tensors', async () => {
    const { version, tensors } = await open({
      version: 2,
      alignment: 128,
      pairs: [['general.alignment', 4, ggufUint32(128)]],
      tensors: [
        { name: 'empty', dims: [0, 3], type: 0, offset: 0 },
        { name: 'scalar', dims: [], type: 28, offset: 0 },
        vector('last', 128),
      ],
      data: new Uint8Array(160).fill(1),
    })
    expect(version).toBe(2)
    expect(await tensors.get('empty')!.read()).toHaveLength(0)
    expect(tensors.get('scalar')).toMatchObject({ dtype: 'F64', shape: [], byteLength: 8 })
    expect(await tensors.get('last')!.read()).toEqual(new Uint8Array(32).fill(1))
  })

  it('reads a header longer than the first piece', async () => {
    const text = 'x'.repeat(3e6)
    const { metadata, tensors } = await open({
      pairs: [['long', 8, ggufString(text)]],
      tensors: [vector('a')],
      data: new Uint8Array(32),
    })
    expect(metadata.get('long')).toBe(text)
    expect(tensors.size).toBe(1)
  })

  it('refuses every prefix but for padding', async () => {
    const bytes = readFileSync(goldenPath('gguf', 'types.gguf'))
    const whole = await open(bytes)
    const end = Math.max(...[...whole.tensors.values()].map(({ offset, byteLength }) => offset + byteLength))
    for (let length = 0; length < end; length++) {
      const error = await expectRefusal(open(bytes.subarray(0, length)))
      expect(error.code).toMatch(/HASS_ERR_(TRUNCATED|GGUF_COUNT|GGUF_OFFSETS)/)
    }
    for (let length = end; length <= bytes.length; length++) await open(bytes.subarray(0, length))
  })

  const many = 2n ** 64n - 1n
  const pair = (type: number, write: ReturnType<typeof ggufUint32>) => ({ pairs: [['k', type, write]] as const })
  const refused: [what: string, file: GgufToBuild, code: string][] = [
    ['another magic', { magic: 0x12345678 }, 'HASS_ERR_GGUF_HEADER'],
    ['version 0', { version: 0 }, 'HASS_ERR_GGUF_HEADER'],
    ['version 1', { version: 1 }, 'HASS_ERR_GGUF_HEADER'],
    ['a future version', { version: 4 }, 'HASS_ERR_GGUF_HEADER'],
    ['a big-endian file', { version: 0x03000000 }, 'HASS_ERR_GGUF_HEADER'],
    ...[many, 2n ** 63n, 2n ** 30n].flatMap((count): [string, GgufToBuild, string][] => [
      [`${count} tensors`, { tensorCount: count }, 'HASS_ERR_GGUF_COUNT'],
      [`${count} pairs`, { pairCount: count }, 'HASS_ERR_GGUF_COUNT'],
      [`a string of ${count} bytes`, pair(8, (writer) => writer.uint(count, 8)), 'HASS_ERR_GGUF_COUNT'],
      [`an array of ${count} bytes`, pair(9, ggufArray(0, count)), 'HASS_ERR_GGUF_COUNT'],
      [`an array of ${count} strings`, pair(9, ggufArray(8, count)), 'HASS_ERR_GGUF_COUNT'],
      [`an array of ${count} arrays`, pair(9, ggufArray(9, count)), 'HASS_ERR_GGUF_COUNT'],
    ]),
    ['an unknown value type', pair(13, ggufUint32(1)), 'HASS_ERR_GGUF_TYPE'],
    [
      'an array of an unknown type',
      pair(9, ggufArray(13, 1, ggufUint32(1), ggufUint32(1), ggufUint32(1))),
      'HASS_ERR_GGUF_TYPE',
    ],
    ['an empty array of an unknown type', pair(9, ggufArray(13, 0)), 'HASS_ERR_GGUF_TYPE'],
    ['a boolean of 2', pair(7, (writer) => writer.uint(2, 1)), 'HASS_ERR_GGUF_FIELD'],
    ['a string that is not UTF-8', pair(8, (writer) => writer.uint(1, 8).bytes([0xff])), 'HASS_ERR_GGUF_FIELD'],
    ['an empty key', { pairs: [['', 4, ggufUint32(1)]] }, 'HASS_ERR_GGUF_FIELD'],
    ['an over-long key', { pairs: [['k'.repeat(65_536), 4, ggufUint32(1)]] }, 'HASS_ERR_GGUF_COUNT'],
    [
      'a key twice',
      {
        pairs: [
          ['k', 4, ggufUint32(1)],
          ['k', 4, ggufUint32(1)],
        ],
      },
      'HASS_ERR_DUPLICATE_NAME',
    ],
    ...[0, 13, 2 ** 31, 2 ** 17].map((value): [string, GgufToBuild, string] => [
      `alignment ${value}`,
      { pairs: [['general.alignment', 4, ggufUint32(value)]] },
      'HASS_ERR_GGUF_FIELD',
    ]),
    ['an alignment of int32', { pairs: [['general.alignment', 5, ggufUint32(32)]] }, 'HASS_ERR_GGUF_TYPE'],
    ['five dimensions', { tensors: [{ name: 'a', dims: [1, 1, 1, 1, 1], type: 0, offset: 0 }] }, 'HASS_ERR_GGUF_FIELD'],
    ['an empty tensor name', { tensors: [vector('')], data: new Uint8Array(32) }, 'HASS_ERR_GGUF_FIELD'],
    [
      'an over-long tensor name',
      { tensors: [vector('n'.repeat(65))], data: new Uint8Array(32) },
      'HASS_ERR_GGUF_COUNT',
    ],
    [
      'a tensor twice',
      { tensors: [vector('a'), vector('a', 32)], data: new Uint8Array(64) },
      'HASS_ERR_DUPLICATE_NAME',
    ],
    ['an unknown tensor type', { tensors: [{ ...vector('a'), type: 4 }], data: new Uint8Array(32) }, 'HASS_ERR_DTYPE'],
    ['a shape past 2^64', { tensors: [{ ...vector('a'), dims: [2n ** 32n, 2n ** 32n] }] }, 'HASS_ERR_SHAPE_OVERFLOW'],
    ['a dimension of 2^64 - 1', { tensors: [{ ...vector('a'), dims: [many] }] }, 'HASS_ERR_SHAPE_OVERFLOW'],
    ['rows of part of a block', { tensors: [{ name: 'a', dims: [33], type: 8, offset: 0 }] }, 'HASS_ERR_GGUF_FIELD'],
    ['a scalar of a block type', { tensors: [{ name: 'a', dims: [], type: 8, offset: 0 }] }, 'HASS_ERR_GGUF_FIELD'],
    ['a misaligned offset', { tensors: [vector('a', 16)], data: new Uint8Array(64) }, 'HASS_ERR_GGUF_OFFSETS'],
    ['an offset of 2^64 - 32', { tensors: [{ ...vector('a'), offset: many - 31n }] }, 'HASS_ERR_GGUF_OFFSETS'],
    [
      'an overlap',
      { tensors: [vector('a', 0, 16), vector('b', 32)], data: new Uint8Array(64) },
      'HASS_ERR_GGUF_OFFSETS',
    ],
    ['data cut short', { tensors: [vector('a')], data: new Uint8Array(31) }, 'HASS_ERR_TRUNCATED'],
    [
      'a size of more than the file',
      { tensors: [vector('a', 0, 2 ** 40)], data: new Uint8Array(32) },
      'HASS_ERR_TRUNCATED',
    ],
  ]
  it.each(refused)('refuses %s', async (_, file, code) => {
    await expectRefusal(open(file), code)
  })

  it('refuses arrays nested 65 deep, not 64', async () => {
    const nested = (depth: number): GgufToBuild => {
      let write = ggufArray(0, 0)
      for (let i = 1; i < depth; i++) write = ggufArray(9, 1, write)
      return pair(9, write)
    }
    await open(nested(64))
    await expectRefusal(open(nested(65)), 'HASS_ERR_GGUF_DEPTH')
  })

  it('refuses a sparse file whose header claims gigabytes', async () => {
    const bytes = buildGguf(pair(8, (writer) => writer.uint(2 ** 32, 8)))
    const hole = { ...createMemorySource(bytes), size: 2 ** 40 }
    await expectRefusal(
      openGguf({ ...hole, readInto: async (target) => target.set(bytes.subarray(0, target.length)) }),
      'HASS_ERR_GGUF_COUNT',
    )
  })

  it('refuses more array elements than any vocabulary has, in one array or in several', async () => {
    const claim = async (...arrays: ReturnType<typeof ggufArray>[]) => {
      const bytes = buildGguf({ pairs: arrays.map((write, i) => [`k${i}`, 9, write]) })
      const readInto = async (target: Uint8Array) => target.set(bytes.subarray(0, target.length))
      const attempt = openGguf({ name: 'x.gguf', location: 'x.gguf', size: 2 ** 40, readInto })
      return (await expectRefusal(attempt, 'HASS_ERR_GGUF_COUNT')).details.max
    }
    expect(await claim(ggufArray(0, 2 ** 24 + 1))).toBe(2 ** 24)
    expect(await claim(ggufArray(4, 1, ggufUint32(1)), ggufArray(0, 2 ** 24))).toBe(2 ** 24 - 1)
  })

  it('parses or refuses whatever the bytes are', async () => {
    const bytes = buildGguf(valid)
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 129), fc.nat(255), (at, byte) => {
        const mutated = bytes.slice()
        mutated[at] = byte
        return isParsedOrRefused(open(mutated))
      }),
      { numRuns: 1500 },
    )
    const start = buildGguf({ tensorCount: 2, pairCount: 3 }).subarray(0, 24)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), (tail) =>
        isParsedOrRefused(open(Uint8Array.of(...start, ...tail))),
      ),
      { numRuns: 500 },
    )
  })
})
