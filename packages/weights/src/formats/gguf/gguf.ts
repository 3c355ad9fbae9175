import { shown, WeightsError } from '../../errors.js'
import { type ByteSource, checkRange } from '../../source/byte-source.js'
import { createVerbatimTensor, type TensorSource } from '../../tensor-source.js'
import { type GgufCursor, parseHeader } from './cursor.js'
import { type GgufValue, readGgufMetadata } from './metadata.js'
import { type GgufTensorInfo, readGgufTensorList } from './tensor-list.js'

export interface GgufFile {
  readonly format: 'gguf'
  readonly version: number
  readonly metadata: ReadonlyMap<string, GgufValue>
  /** By the names in the file, shapes row-major. */
  readonly tensors: ReadonlyMap<string, TensorSource>
}

const magic = 0x46554747
const versions = [2, 3]
const defaultAlignment = 32
/** A page of the largest page size in use: more would align nothing, and only move offsets about. */
const maxAlignment = 65_536
/** Length of a key or name, a type, and a value of at least one byte. */
const minBytesOfPair = 13
/** Length of a name, number of dimensions, type, offset. */
const minBytesOfTensor = 24

/**
 * Reads the header of a GGUF file, version 2 or 3, little-endian; tensors are read when asked.
 *
 * @throws WeightsError `HASS_ERR_GGUF_HEADER`, `HASS_ERR_GGUF_COUNT`, `HASS_ERR_GGUF_DEPTH`, `HASS_ERR_GGUF_TYPE`,
 * `HASS_ERR_GGUF_FIELD`, `HASS_ERR_GGUF_OFFSETS`, `HASS_ERR_DTYPE`, `HASS_ERR_DUPLICATE_NAME`,
 * `HASS_ERR_SHAPE_OVERFLOW`, `HASS_ERR_TRUNCATED`
 */
export async function openGguf(source: ByteSource): Promise<GgufFile> {
  const { version, metadata, infos, dataStart } = await parseHeader(source, (cursor) => readHeader(cursor, source))
  const tensors = new Map(infos.map((info) => [info.name, createTensor(info, source, dataStart)]))
  return { format: 'gguf', version, metadata, tensors }
}

function readHeader(cursor: GgufCursor, source: ByteSource) {
  const found = cursor.uint32()
  const version = found === magic ? cursor.uint32() : 0
  if (!versions.includes(version)) {
    const what = found === magic ? `version ${version}` : `the magic number 0x${found.toString(16)}`
    throw new WeightsError(
      'HASS_ERR_GGUF_HEADER',
      `${source.name} has ${what}, expected a little-endian GGUF file of version ${versions.join(' or ')}.`,
      { file: source.name, magic: found, version },
    )
  }
  const tensorCount = cursor.count('tensors', minBytesOfTensor)
  const pairCount = cursor.count('metadata pairs', minBytesOfPair)
  const metadata = readGgufMetadata(cursor, pairCount)
  const alignment = readAlignment(metadata, source)
  const infos = readGgufTensorList(cursor, tensorCount, alignment)
  return { version, metadata, infos, dataStart: Math.ceil(cursor.position / alignment) * alignment }
}

function readAlignment(metadata: ReadonlyMap<string, GgufValue>, source: ByteSource): number {
  const alignment = metadata.get('general.alignment') ?? defaultAlignment
  const isPowerOfTwo = typeof alignment === 'number' && alignment > 0 && Number.isInteger(Math.log2(alignment))
  if (isPowerOfTwo && alignment <= maxAlignment) return alignment
  throw new WeightsError(
    'HASS_ERR_GGUF_FIELD',
    `${source.name} has general.alignment ${shown(String(alignment))}, expected a power of two up to ${maxAlignment}.`,
    { file: source.name, found: alignment, max: maxAlignment },
  )
}

function createTensor(info: GgufTensorInfo, source: ByteSource, dataStart: number): TensorSource {
  const offset = dataStart + info.offset
  checkRange(source, offset, info.byteLength)
  return createVerbatimTensor({ ...info, offset }, source)
}
