import { crc32 } from 'node:zlib'
import { ByteWriter } from './byte-writer.js'

export interface ZipMemberToBuild {
  readonly name: string
  readonly data: Uint8Array
  readonly method?: number
  readonly crc32?: number
  /** What the directory says; the data's own length if absent. */
  readonly uncompressedSize?: number
  readonly flags?: number
}

/** A zip archive that may lie in every field; members are written as they are. */
export function buildZip(members: readonly ZipMemberToBuild[], entryCount = members.length): Uint8Array {
  const writer = new ByteWriter()
  const directory = new ByteWriter()
  for (const member of members) {
    const { name, data, method = 0, flags = 0, uncompressedSize = data.byteLength } = member
    const nameLength = new TextEncoder().encode(name).byteLength
    const offset = writer.length
    const shared = (target: ByteWriter) =>
      target
        .uint(20, 2)
        .uint(flags, 2)
        .uint(method, 2)
        .uint(0, 4)
        .uint(member.crc32 ?? crc32(data), 4)
        .uint(data.byteLength, 4)
        .uint(uncompressedSize, 4)
        .uint(nameLength, 2)
        .uint(0, 2)
    shared(writer.uint(0x04034b50, 4)).text(name).bytes(data)
    shared(directory.uint(0x02014b50, 4).uint(20, 2)).bytes(new Uint8Array(10)).uint(offset, 4).text(name)
  }
  const directoryOffset = writer.length
  const directoryBytes = directory.toBytes()
  return writer
    .bytes(directoryBytes)
    .uint(0x06054b50, 4)
    .uint(0, 4)
    .uint(entryCount, 2)
    .uint(entryCount, 2)
    .uint(directoryBytes.byteLength, 4)
    .uint(directoryOffset, 4)
    .uint(0, 2)
    .toBytes()
}

/** Opcodes of pickle protocol 2, one method each, in the order in which a program is written. */
export class PickleWriter extends ByteWriter {
  proto(version = 2): this {
    return this.bytes([0x80, version])
  }

  op(name: keyof typeof opcodes): this {
    return this.bytes([opcodes[name]])
  }

  string(text: string): this {
    return this.bytes([0x58]).uint(new TextEncoder().encode(text).byteLength, 4).text(text)
  }

  int(value: number): this {
    return this.bytes([0x4a]).uint(value, 4)
  }

  long(value: bigint): this {
    return this.bytes([0x8a, 8]).uint(value, 8)
  }

  global(module: string, name: string): this {
    return this.bytes([0x63]).text(`${module}\n${name}\n`)
  }

  ints(values: readonly number[]): this {
    this.op('MARK')
    for (const value of values) this.int(value)
    return this.op('TUPLE')
  }

  storage(key: string, elements: number, className = 'FloatStorage', module = 'torch'): this {
    this.op('MARK').string('storage').global(module, className).string(key).string('cpu').int(elements)
    return this.op('TUPLE').op('BINPERSID')
  }

  /** A tensor over the storage that `storage` pushes. */
  tensor(view: TensorToBuild): this {
    const { key = '0', elements, offset = 0, shape, strides, className = 'FloatStorage' } = view
    this.global('torch._utils', '_rebuild_tensor_v2').op('MARK').storage(key, elements, className)
    this.int(offset).ints(shape).ints(strides).op('NEWFALSE')
    return this.orderedDict().op('TUPLE').op('REDUCE')
  }

  orderedDict(): this {
    return this.global('collections', 'OrderedDict').op('EMPTY_TUPLE').op('REDUCE')
  }
}

export interface TensorToBuild {
  readonly key?: string
  readonly elements: number
  readonly offset?: number
  readonly shape: readonly number[]
  readonly strides: readonly number[]
  readonly className?: string
}

export const opcodes = {
  MARK: 0x28,
  STOP: 0x2e,
  NONE: 0x4e,
  NEWTRUE: 0x88,
  NEWFALSE: 0x89,
  EMPTY_TUPLE: 0x29,
  TUPLE: 0x74,
  TUPLE1: 0x85,
  EMPTY_LIST: 0x5d,
  APPEND: 0x61,
  APPENDS: 0x65,
  EMPTY_DICT: 0x7d,
  SETITEM: 0x73,
  SETITEMS: 0x75,
  REDUCE: 0x52,
  BUILD: 0x62,
  BINPERSID: 0x51,
} as const

/** A file as `torch.save` lays it out. */
export function buildTorch(
  pickle: Uint8Array,
  storages: Readonly<Record<string, Uint8Array>> = {},
  more: readonly ZipMemberToBuild[] = [],
): Uint8Array {
  const members = Object.entries(storages).map(([key, data]) => ({ name: `archive/data/${key}`, data }))
  return buildZip([{ name: 'archive/data.pkl', data: pickle }, ...members, ...more])
}
