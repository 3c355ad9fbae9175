import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createMemorySource } from '../../source/byte-source.js'
import { PickleWriter } from '../../testing/build-torch.js'
import { expectRefusal, isParsedOrRefused } from '../../testing/expect-refusal.js'
import { openTorch } from './torch-file.js'

const open = (bytes: Uint8Array) => openTorch(createMemorySource(bytes, 'x.bin'))
const pickle = () => new PickleWriter().proto()
const dict = (write: (writer: PickleWriter) => PickleWriter) =>
  write(pickle().op('EMPTY_DICT').string('w')).op('SETITEM').op('STOP').toBytes()

/** Eight floats 0, 1, …, 7. */
const eight = new Uint8Array(Float32Array.from({ length: 8 }, (_, i) => i).buffer)
const view = { elements: 8, offset: 0, shape: [2, 4], strides: [4, 1] }
describe('openTorch, legacy layout', () => {
  const magic = [0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]
  const legacy = (change: {
    magic?: number[]
    version?: number
    system?: (writer: PickleWriter) => PickleWriter
    view?: object
    keys?: (writer: PickleWriter) => PickleWriter
    elements?: number
    tail?: number[]
  }) => {
    const writer = pickle()
      .bytes(change.magic ?? magic)
      .op('STOP')
    writer
      .proto()
      .int(change.version ?? 1001)
      .op('STOP')
    const isLittleEndian = (inner: PickleWriter) =>
      inner.op('EMPTY_DICT').string('little_endian').op('NEWTRUE').op('SETITEM')
    const system = change.system ?? isLittleEndian
    system(writer.proto()).op('STOP')
    writer.bytes(dict((inner) => inner.tensor({ ...view, ...change.view })))
    const keys = change.keys ?? ((inner) => inner.op('EMPTY_LIST').string('0').op('APPEND'))
    keys(writer.proto()).op('STOP')
    return writer
      .uint(change.elements ?? 8, 8)
      .bytes(eight)
      .bytes(change.tail ?? [])
      .toBytes()
  }

  it('reads tensors', async () => {
    const { tensors } = await open(legacy({}))
    expect([...(await tensors.get('w')!.readFloat32())]).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    const part = await open(legacy({ view: { offset: 1, shape: [3], strides: [2] } }))
    expect([...(await part.tensors.get('w')!.readFloat32())]).toEqual([1, 3, 5])
  })

  const refused: [what: string, bytes: Uint8Array, code: string][] = [
    ['another magic number', legacy({ magic: [0x4b, 1] }), 'HASS_ERR_TORCH_FILE'],
    ['another version', legacy({ version: 1000 }), 'HASS_ERR_TORCH_FILE'],
    ['a big-endian file', legacy({ system: (w) => w.op('EMPTY_DICT') }), 'HASS_ERR_TORCH_FILE'],
    ['no description of the machine', legacy({ system: (w) => w.op('NONE') }), 'HASS_ERR_TORCH_FILE'],
    ['keys that are no list', legacy({ keys: (w) => w.op('NONE') }), 'HASS_ERR_TORCH_FILE'],
    ['a key of no tensor', legacy({ keys: (w) => w.op('EMPTY_LIST').string('1').op('APPEND') }), 'HASS_ERR_TORCH_FILE'],
    ['a key that is a number', legacy({ keys: (w) => w.op('EMPTY_LIST').int(0).op('APPEND') }), 'HASS_ERR_TORCH_FILE'],
    ['no keys', legacy({ keys: (w) => w.op('EMPTY_LIST') }), 'HASS_ERR_TORCH_FILE'],
    ['a storage of another size', legacy({ elements: 7 }), 'HASS_ERR_TORCH_STORAGE'],
    ['trailing bytes', legacy({ tail: [0] }), 'HASS_ERR_TORCH_FILE'],
    ['a hostile pickle', pickle().global('os', 'system').toBytes(), 'HASS_ERR_PICKLE_GLOBAL'],
  ]
  it.each(refused)('refuses %s', async (_, bytes, code) => {
    await expectRefusal(open(bytes), code)
  })

  it('reads pickles longer than the first piece', async () => {
    const padding = pickle().string('x'.repeat(1_100_000)).op('STOP').toBytes()
    // A longer first pickle is a wrong magic number, and is known as such only once its end was read.
    await expectRefusal(open(Uint8Array.from([...padding])), 'HASS_ERR_TORCH_FILE')
  })

  it('parses or refuses whatever the bytes are', async () => {
    const bytes = legacy({})
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(255), (at, byte) => {
        const mutated = bytes.slice()
        mutated[at] = byte
        return isParsedOrRefused(open(mutated))
      }),
      { numRuns: 500 },
    )
  })
})
