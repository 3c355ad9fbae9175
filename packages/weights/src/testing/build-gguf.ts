import { ByteWriter } from './byte-writer.js'

export interface GgufTensorToBuild {
  readonly name: string
  /** In the file's order: the innermost dimension first. */
  readonly dims: readonly (number | bigint)[]
  readonly type: number
  readonly offset: number | bigint
}

export interface GgufToBuild {
  readonly magic?: number
  readonly version?: number
  readonly tensorCount?: number | bigint
  readonly pairCount?: number | bigint
  /** Each key with its type number and the writer of its value. */
  readonly pairs?: readonly (readonly [key: string, type: number, write: (writer: ByteWriter) => void])[]
  readonly tensors?: readonly GgufTensorToBuild[]
  readonly alignment?: number
  readonly data?: Uint8Array
}

/** A GGUF file that may lie in every field. */
export function buildGguf(file: GgufToBuild): Uint8Array {
  const { magic = 0x46554747, version = 3, pairs = [], tensors = [], alignment = 32, data = new Uint8Array() } = file
  const writer = new ByteWriter().uint(magic, 4).uint(version, 4)
  writer.uint(file.tensorCount ?? tensors.length, 8).uint(file.pairCount ?? pairs.length, 8)
  for (const [key, type, write] of pairs) {
    ggufString(key)(writer)
    writer.uint(type, 4)
    write(writer)
  }
  for (const { name, dims, type, offset } of tensors) {
    ggufString(name)(writer)
    writer.uint(dims.length, 4)
    for (const dim of dims) writer.uint(dim, 8)
    writer.uint(type, 4).uint(offset, 8)
  }
  return writer.align(alignment).bytes(data).toBytes()
}

export function ggufString(text: string): (writer: ByteWriter) => void {
  const { byteLength } = new TextEncoder().encode(text)
  return (writer) => writer.uint(byteLength, 8).text(text)
}

export function ggufUint32(value: number): (writer: ByteWriter) => void {
  return (writer) => writer.uint(value, 4)
}

export function ggufFloat32(value: number): (writer: ByteWriter) => void {
  return (writer) => writer.float32(value)
}

export function ggufArray(
  type: number,
  count: number | bigint,
  ...writers: ((writer: ByteWriter) => void)[]
): (writer: ByteWriter) => void {
  return (writer) => {
    writer.uint(type, 4).uint(count, 8)
    for (const write of writers) write(writer)
  }
}
