import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { goldenPath, listGolden } from '../../../../../test/support/golden.js'
import { createMemorySource } from '../../source/byte-source.js'
import { buildTorch, buildZip, opcodes, PickleWriter, type ZipMemberToBuild } from '../../testing/build-torch.js'
import { expectRefusal, isParsedOrRefused } from '../../testing/expect-refusal.js'
import { openTorch } from './torch-file.js'

const open = (bytes: Uint8Array) => openTorch(createMemorySource(bytes, 'x.bin'))
const pickle = () => new PickleWriter().proto()
const dict = (write: (writer: PickleWriter) => PickleWriter) =>
  write(pickle().op('EMPTY_DICT').string('w')).op('SETITEM').op('STOP').toBytes()

/** Eight floats 0, 1, …, 7. */
const eight = new Uint8Array(Float32Array.from({ length: 8 }, (_, i) => i).buffer)
const view = { elements: 8, offset: 0, shape: [2, 4], strides: [4, 1] }
const valid = buildTorch(
  dict((writer) => writer.tensor(view)),
  { 0: eight },
)

describe('openTorch, zip layout', () => {
  it('reads tensors by name', async () => {
    const { tensors } = await open(valid)
    expect([...tensors.keys()]).toEqual(['w'])
    expect(tensors.get('w')).toMatchObject({ dtype: 'F32', shape: [2, 4], byteLength: 32, isVerbatim: true })
    expect([...(await tensors.get('w')!.readFloat32())]).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  it('gathers views', async () => {
    const read = async (more: object) => {
      const bytes = dict((writer) => writer.tensor({ ...view, ...more }))
      const tensor = (await open(buildTorch(bytes, { 0: eight }))).tensors.get('w')!
      return { isVerbatim: tensor.isVerbatim, values: [...(await tensor.readFloat32())] }
    }
    expect(await read({ shape: [4, 2], strides: [1, 4] })).toEqual({
      isVerbatim: false,
      values: [0, 4, 1, 5, 2, 6, 3, 7],
    })
    expect(await read({ offset: 1, shape: [3], strides: [2] })).toEqual({ isVerbatim: false, values: [1, 3, 5] })
    expect(await read({ offset: 2, shape: [1, 3], strides: [99, 1] })).toEqual({ isVerbatim: true, values: [2, 3, 4] })
    expect(await read({ offset: 7, shape: [2, 2], strides: [0, 0] })).toEqual({
      isVerbatim: false,
      values: [7, 7, 7, 7],
    })
    expect(await read({ offset: 8, shape: [0], strides: [1] })).toEqual({ isVerbatim: true, values: [] })
    expect(await read({ offset: 5, shape: [], strides: [] })).toEqual({ isVerbatim: true, values: [5] })
  })

  it('reads state dictionaries of modules, whose metadata is state of the dictionary', async () => {
    const bytes = pickle().orderedDict().string('w').tensor(view).op('SETITEM')
    bytes.op('EMPTY_DICT').string('_metadata').orderedDict().op('SETITEM').op('BUILD').op('STOP')
    expect((await open(buildTorch(bytes.toBytes(), { 0: eight }))).tensors.size).toBe(1)
  })

  it('names tensors by their path, and passes over what is none', async () => {
    const bytes = pickle().op('EMPTY_DICT').op('MARK')
    bytes.string('list').op('EMPTY_LIST').op('MARK').op('NONE').tensor(view).op('APPENDS')
    bytes.string('pair').op('MARK').tensor(view).op('NEWTRUE').op('TUPLE')
    bytes.int(7).tensor(view).op('NONE').tensor(view).string('pi').bytes([0x47]).bytes(new Uint8Array(8))
    bytes.op('SETITEMS').op('STOP')
    const { tensors } = await open(buildTorch(bytes.toBytes(), { 0: eight }))
    expect([...tensors.keys()]).toEqual(['list.1', 'pair.0', '7'])
  })

  it('reads dtypes that have no storage class of their own', async () => {
    const bytes = dict((writer) =>
      writer
        .global('torch._utils', '_rebuild_tensor_v3')
        .op('MARK')
        .storage('0', 4, 'UntypedStorage', 'torch.storage')
        .int(1)
        .ints([3])
        .ints([1])
        .op('NEWFALSE')
        .orderedDict()
        .global('torch', 'float8_e4m3fn')
        .op('TUPLE')
        .op('REDUCE'),
    )
    const { tensors } = await open(buildTorch(bytes, { 0: Uint8Array.of(0, 0x38, 0x40, 0xb8) }))
    expect(tensors.get('w')).toMatchObject({ dtype: 'F8_E4M3', shape: [3] })
    expect([...(await tensors.get('w')!.readFloat32())]).toEqual([1, 2, -1])
  })

  it('finds damage of a storage, read whole or in part', async () => {
    for (const shape of [[8], [2]]) {
      const bytes = buildTorch(
        dict((writer) => writer.tensor({ ...view, shape, strides: [1] })),
        { 0: eight },
      )
      const at = Buffer.from(bytes).indexOf(Buffer.from(eight)) + 30
      bytes[at]! ^= 1
      const { tensors } = await open(bytes)
      await expectRefusal(tensors.get('w')!.read(), 'HASS_ERR_CHECKSUM')
      await expectRefusal(tensors.get('w')!.readFloat32(), 'HASS_ERR_CHECKSUM')
    }
  })

  it.each(listGolden('formats', /\.bin$/))('refuses every prefix of %s', async (file) => {
    const bytes = readFileSync(goldenPath('formats', file))
    await open(bytes)
    // Of a large file, some thousand of them.
    const step = Math.ceil(bytes.length / 4096)
    for (let length = 0; length < bytes.length; length += step) {
      const error = await expectRefusal(open(bytes.subarray(0, length)))
      expect(error.code).toMatch(/HASS_ERR_(TRUNCATED|TORCH_FILE)/)
    }
  })

  const members = (...more: ZipMemberToBuild[]) =>
    buildTorch(
      dict((writer) => writer.tensor(view)),
      { 0: eight },
      more,
    )
  const empty = new Uint8Array()
  const containers: [what: string, bytes: Uint8Array, code: string][] = [
    ['7z', Uint8Array.of(0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c), 'HASS_ERR_FORMAT_UNKNOWN'],
    ['text', new TextEncoder().encode('version https://git-lfs'), 'HASS_ERR_FORMAT_UNKNOWN'],
    [
      'an empty archive with a comment',
      Uint8Array.of(...buildZip([{ name: 'a', data: empty }]), 1),
      'HASS_ERR_TORCH_FILE',
    ],
    ['no pickle', buildZip([{ name: 'archive/version', data: empty }]), 'HASS_ERR_TORCH_FILE'],
    ['two pickles', members({ name: 'other/data.pkl', data: empty }), 'HASS_ERR_TORCH_FILE'],
    ['a name with ..', members({ name: 'archive/../../x', data: empty }), 'HASS_ERR_TORCH_FILE'],
    ['an absolute name', members({ name: '/etc/passwd', data: empty }), 'HASS_ERR_TORCH_FILE'],
    ['a member twice', members({ name: 'archive/data/0', data: eight }), 'HASS_ERR_DUPLICATE_NAME'],
    [
      'a compressed member',
      members({ name: 'archive/x', data: eight, method: 8, uncompressedSize: 2 ** 31 }),
      'HASS_ERR_TORCH_FILE',
    ],
    ['an encrypted member', members({ name: 'archive/x', data: eight, flags: 1 }), 'HASS_ERR_TORCH_FILE'],
    [
      'a member larger than it is',
      members({ name: 'archive/x', data: eight, uncompressedSize: 33 }),
      'HASS_ERR_TORCH_FILE',
    ],
    [
      'a big-endian file',
      members({ name: 'archive/byteorder', data: new TextEncoder().encode('big') }),
      'HASS_ERR_TORCH_FILE',
    ],
    ['a long byte order', members({ name: 'archive/byteorder', data: eight }), 'HASS_ERR_TORCH_FILE'],
    ['a damaged pickle', buildZip([{ name: 'archive/data.pkl', data: eight, crc32: 1 }]), 'HASS_ERR_CHECKSUM'],
    [
      'more members than there are',
      buildZip([{ name: 'archive/data.pkl', data: eight }], 2),
      'HASS_ERR_TORCH_FILE|HASS_ERR_TRUNCATED',
    ],
  ]
  it.each(containers)('refuses %s', async (_, bytes, code) => {
    await expectRefusal(open(bytes), new RegExp(code))
  })

  it('refuses an archive of more members than any model has', async () => {
    const eocd64 = Buffer.alloc(56)
    eocd64.writeUInt32LE(0x06064b50, 0)
    eocd64.writeBigUInt64LE(100_001n, 32)
    const locator = Buffer.alloc(20)
    locator.writeUInt32LE(0x07064b50, 0)
    locator.writeBigUInt64LE(4n, 8)
    const end = Buffer.alloc(22)
    end.writeUInt32LE(0x06054b50, 0)
    const start = Buffer.from('PK\x03\x04')
    await expectRefusal(open(Buffer.concat([start, eocd64, locator, end])), 'HASS_ERR_TORCH_FILE')
    // Offsets past 2^53 make the zip library throw where nobody could catch it.
    locator.writeBigUInt64LE(2n ** 64n - 1n, 8)
    await expectRefusal(open(Buffer.concat([start, eocd64, locator, end])), /TORCH_FILE|TRUNCATED/)
  })

  const refusedViews: [what: string, view: object, code: string][] = [
    ['a stride outside', { strides: [5, 1] }, 'HASS_ERR_TORCH_STORAGE'],
    ['an offset outside', { offset: 1 }, 'HASS_ERR_TORCH_STORAGE'],
    ['an offset outside of nothing', { offset: 9, shape: [0], strides: [1] }, 'HASS_ERR_TORCH_STORAGE'],
    ['a negative stride', { strides: [4, -1] }, 'HASS_ERR_TORCH_STORAGE'],
    ['a negative size', { shape: [2, -4] }, 'HASS_ERR_TORCH_STORAGE'],
    ['fewer strides than sizes', { strides: [1] }, 'HASS_ERR_TORCH_STORAGE'],
    ['a storage of another size', { elements: 9 }, 'HASS_ERR_TORCH_STORAGE'],
    ['a missing storage', { key: '../../0' }, 'HASS_ERR_TORCH_STORAGE'],
    ['a repeated element without end', { shape: [2 ** 20, 2], strides: [0, 0] }, 'HASS_ERR_SHAPE_OVERFLOW'],
    [
      'more elements than can be counted',
      { shape: Array(8).fill(2 ** 20), strides: Array(8).fill(0) },
      'HASS_ERR_SHAPE_OVERFLOW',
    ],
    [
      'an extent that cannot be counted',
      { shape: [2 ** 25, 2 ** 25], strides: [2 ** 30, 2 ** 30] },
      'HASS_ERR_TORCH_STORAGE',
    ],
  ]
  it.each(refusedViews)('refuses %s', async (_, more, code) => {
    await expectRefusal(
      open(
        buildTorch(
          dict((writer) => writer.tensor({ ...view, ...more })),
          { 0: eight },
        ),
      ),
      code,
    )
  })

  const raw = (write: (writer: PickleWriter) => PickleWriter) => write(pickle()).toBytes()
  const pickles: [what: string, pickle: Uint8Array, code: string][] = [
    [
      'os.system',
      dict((w) => w.global('os', 'system').op('MARK').string('touch PWNED').op('TUPLE').op('REDUCE')),
      'HASS_ERR_PICKLE_GLOBAL',
    ],
    ['a sparse tensor', dict((w) => w.global('torch._utils', '_rebuild_sparse_tensor')), 'HASS_ERR_PICKLE_GLOBAL'],
    ['a name that spans the list', dict((w) => w.global('collections.OrderedDict', '')), 'HASS_ERR_PICKLE_GLOBAL'],
    [
      'a call of a class',
      dict((w) => w.global('torch', 'FloatStorage').op('EMPTY_TUPLE').op('REDUCE')),
      'HASS_ERR_PICKLE',
    ],
    ['a call of a tensor', dict((w) => w.tensor(view).op('EMPTY_TUPLE').op('REDUCE')), 'HASS_ERR_PICKLE'],
    [
      'a call without a tuple',
      dict((w) => w.global('collections', 'OrderedDict').op('EMPTY_LIST').op('REDUCE')),
      'HASS_ERR_PICKLE',
    ],
    [
      'an OrderedDict of arguments',
      dict((w) => w.global('collections', 'OrderedDict').op('EMPTY_LIST').op('TUPLE1').op('REDUCE')),
      'HASS_ERR_PICKLE',
    ],
    [
      'a parameter of nothing',
      dict((w) => w.global('torch._utils', '_rebuild_parameter').op('EMPTY_TUPLE').op('REDUCE')),
      'HASS_ERR_PICKLE',
    ],
    [
      'a tensor of nothing',
      dict((w) => w.global('torch._utils', '_rebuild_tensor_v2').op('EMPTY_TUPLE').op('REDUCE')),
      'HASS_ERR_PICKLE',
    ],
    [
      'a tensor of no known dtype',
      dict((w) => w.tensor({ ...view, className: 'FloatStorage' }).op('NONE')),
      'HASS_ERR_PICKLE',
    ],
    [
      'an untyped storage in a typed tensor',
      dict((w) =>
        w
          .global('torch._utils', '_rebuild_tensor_v2')
          .op('MARK')
          .storage('0', 32, 'UntypedStorage', 'torch.storage')
          .int(0)
          .ints([8])
          .ints([1])
          .op('TUPLE')
          .op('REDUCE'),
      ),
      'HASS_ERR_PICKLE',
    ],
    ['a persistent id that is no tuple', dict((w) => w.string('0').op('BINPERSID')), 'HASS_ERR_PICKLE'],
    [
      'a persistent id of no storage',
      dict((w) =>
        w
          .op('MARK')
          .string('module')
          .global('torch', 'FloatStorage')
          .string('0')
          .string('cpu')
          .int(8)
          .op('TUPLE')
          .op('BINPERSID'),
      ),
      'HASS_ERR_PICKLE',
    ],
    [
      'a storage key that is a number',
      dict((w) =>
        w
          .op('MARK')
          .string('storage')
          .global('torch', 'FloatStorage')
          .int(0)
          .string('cpu')
          .int(8)
          .op('TUPLE')
          .op('BINPERSID'),
      ),
      'HASS_ERR_PICKLE',
    ],
    [
      'a storage of a class by name',
      dict((w) =>
        w
          .op('MARK')
          .string('storage')
          .string('FloatStorage')
          .string('0')
          .string('cpu')
          .int(8)
          .op('TUPLE')
          .op('BINPERSID'),
      ),
      'HASS_ERR_PICKLE',
    ],
    [
      'a view of a storage',
      dict((w) =>
        w
          .op('MARK')
          .string('storage')
          .global('torch', 'FloatStorage')
          .string('0')
          .string('cpu')
          .int(8)
          .op('EMPTY_TUPLE')
          .op('TUPLE')
          .op('BINPERSID'),
      ),
      'HASS_ERR_PICKLE',
    ],
    [
      'a storage of two sizes',
      raw((w) =>
        w
          .op('MARK')
          .tensor(view)
          .tensor({ ...view, elements: 7 })
          .op('TUPLE')
          .op('STOP'),
      ),
      'HASS_ERR_PICKLE',
    ],
    [
      'a size beyond 2^53',
      dict((w) =>
        w
          .global('torch._utils', '_rebuild_tensor_v2')
          .op('MARK')
          .storage('0', 8)
          .int(0)
          .op('MARK')
          .long(2n ** 60n)
          .op('TUPLE')
          .ints([0])
          .op('TUPLE')
          .op('REDUCE'),
      ),
      'HASS_ERR_TORCH_STORAGE',
    ],
    [
      'a size that is no tuple',
      dict((w) =>
        w
          .global('torch._utils', '_rebuild_tensor_v2')
          .op('MARK')
          .storage('0', 8)
          .int(0)
          .int(8)
          .ints([0])
          .op('TUPLE')
          .op('REDUCE'),
      ),
      'HASS_ERR_TORCH_STORAGE',
    ],
    ['an unknown opcode', raw((w) => w.bytes([0x81])), 'HASS_ERR_PICKLE_OPCODE'],
    ['another protocol', new PickleWriter().proto(4).op('NONE').op('STOP').toBytes(), 'HASS_ERR_PICKLE'],
    ['an empty stack', raw((w) => w.op('STOP')), 'HASS_ERR_PICKLE'],
    ['values left behind', raw((w) => w.op('NONE').op('NONE').op('STOP')), 'HASS_ERR_PICKLE'],
    ['bytes behind the end', raw((w) => w.op('EMPTY_DICT').op('STOP').op('STOP')), 'HASS_ERR_PICKLE'],
    ['a missing mark', raw((w) => w.op('NONE').op('TUPLE')), 'HASS_ERR_PICKLE'],
    ['marks without end', raw((w) => w.bytes(new Uint8Array(1e5).fill(opcodes.MARK))), 'HASS_ERR_PICKLE'],
    ['a mark for a value', raw((w) => w.op('MARK').op('TUPLE1')), 'HASS_ERR_PICKLE'],
    ['items of a list', raw((w) => w.op('EMPTY_LIST').op('NONE').op('NONE').op('SETITEM')), 'HASS_ERR_PICKLE'],
    ['a key without a value', raw((w) => w.op('EMPTY_DICT').op('MARK').op('NONE').op('SETITEMS')), 'HASS_ERR_PICKLE'],
    ['appending to a dictionary', raw((w) => w.op('EMPTY_DICT').op('NONE').op('APPEND')), 'HASS_ERR_PICKLE'],
    ['state of a list', raw((w) => w.op('EMPTY_LIST').op('EMPTY_DICT').op('BUILD')), 'HASS_ERR_PICKLE'],
    ['state that is a list', raw((w) => w.op('EMPTY_DICT').op('EMPTY_LIST').op('BUILD')), 'HASS_ERR_PICKLE'],
    ['an empty memo', raw((w) => w.bytes([0x68, 3])), 'HASS_ERR_PICKLE'],
    ['a string longer than the pickle', raw((w) => w.bytes([0x58, 255, 255, 255, 255])), 'HASS_ERR_TRUNCATED'],
    ['a string that is not UTF-8', raw((w) => w.bytes([0x55, 1, 0xff])), 'HASS_ERR_PICKLE'],
    ['a global without an end', raw((w) => w.bytes([0x63]).text('x'.repeat(1000))), 'HASS_ERR_PICKLE'],
    ['a pickle without an end', raw((w) => w.op('NONE')), 'HASS_ERR_TRUNCATED'],
    ['no tensors', raw((w) => w.op('EMPTY_DICT').op('STOP')), 'HASS_ERR_PICKLE'],
    [
      'two tensors of one path',
      raw((w) => w.op('EMPTY_DICT').op('MARK').string('1').tensor(view).int(1).tensor(view).op('SETITEMS').op('STOP')),
      'HASS_ERR_DUPLICATE_NAME',
    ],
  ]
  it.each(pickles)('refuses %s', async (_, bytes, code) => {
    await expectRefusal(open(buildTorch(bytes, { 0: eight })), code)
  })

  it('refuses dictionaries that refer to themselves or double without end', async () => {
    const circular = raw((w) => w.op('EMPTY_LIST').bytes([0x71, 0]).bytes([0x68, 0]).op('APPEND').op('STOP'))
    await expectRefusal(open(buildTorch(circular)), 'HASS_ERR_PICKLE')
    const doubling = pickle().op('EMPTY_LIST').bytes([0x71, 0])
    for (let level = 0; level < 40; level++) {
      const from = [0x6a, level, 0, 0, 0]
      doubling
        .op('EMPTY_LIST')
        .op('MARK')
        .bytes(from)
        .bytes(from)
        .op('APPENDS')
        .bytes([0x72, level + 1, 0, 0, 0])
    }
    const bytes = doubling.bytes([opcodes.MARK]).op('TUPLE').op('STOP').toBytes()
    await expectRefusal(open(buildTorch(bytes)), 'HASS_ERR_PICKLE')
  })

  it('parses or refuses whatever the bytes are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(valid.length - 1), fc.nat(255), (at, byte) => {
        const mutated = valid.slice()
        mutated[at] = byte
        return isParsedOrRefused(open(mutated))
      }),
      { numRuns: 500 },
    )
    const known = [...Object.values(opcodes), 0x4a, 0x4b, 0x71, 0x68, 0x8a, 0x58, 0x63, 0x80]
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(fc.constantFrom(...known), fc.nat(255)), { maxLength: 60 }), (program) =>
        isParsedOrRefused(
          open(
            buildTorch(
              raw((w) => w.bytes(program)),
              { 0: eight },
            ),
          ),
        ),
      ),
      { numRuns: 500 },
    )
  })
})
