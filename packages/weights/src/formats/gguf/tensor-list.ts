import { type DType, dtypeSize } from '@hass-engine/core'
import { shown, WeightsError } from '../../errors.js'
import { type GgmlQuantization, type GgmlQuantizedType, ggmlQuantization } from '../../quantization/ggml.js'
import { isDType, type StoredDType } from '../../tensor-source.js'
import { safeElementCount } from '../byte-extent.js'
import type { GgufCursor } from './cursor.js'

/** Tensor types by their number in the file. */
const ggmlTypes: ReadonlyMap<number, StoredDType> = new Map<number, StoredDType>([
  [0, 'F32'],
  [1, 'F16'],
  [2, 'Q4_0'],
  [3, 'Q4_1'],
  [6, 'Q5_0'],
  [7, 'Q5_1'],
  [8, 'Q8_0'],
  [10, 'Q2_K'],
  [11, 'Q3_K'],
  [12, 'Q4_K'],
  [13, 'Q5_K'],
  [14, 'Q6_K'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [28, 'F64'],
  [30, 'BF16'],
])

/** GGML has no tensors of more dimensions. */
const maxDimensions = 4
/** GGML's own limit. */
const maxNameLength = 64

export interface GgufTensorInfo {
  readonly name: string
  readonly dtype: StoredDType
  /** Row-major: the reverse of the file's order. */
  readonly shape: readonly number[]
  /** From the start of the data section. */
  readonly offset: number
  readonly byteLength: number
  readonly quantization?: GgmlQuantization
}

/**
 * Reads `count` tensor descriptions and checks that each is aligned and that none overlaps another.
 *
 * @throws WeightsError `HASS_ERR_DUPLICATE_NAME`, `HASS_ERR_DTYPE`, `HASS_ERR_GGUF_FIELD`, `HASS_ERR_GGUF_OFFSETS`,
 * `HASS_ERR_SHAPE_OVERFLOW`, `HASS_ERR_TRUNCATED`
 */
export function readGgufTensorList(cursor: GgufCursor, count: number, alignment: number): GgufTensorInfo[] {
  const names = new Set<string>()
  const tensors: GgufTensorInfo[] = []
  for (let i = 0; i < count; i++) {
    const tensor = readTensorInfo(cursor, alignment)
    if (names.has(tensor.name)) {
      throw new WeightsError(
        'HASS_ERR_DUPLICATE_NAME',
        `${cursor.source.name} has the tensor ${shown(tensor.name)} twice.`,
        { file: cursor.source.name, name: tensor.name },
      )
    }
    names.add(tensor.name)
    tensors.push(tensor)
  }
  checkOverlaps(tensors, cursor.source.name)
  return tensors
}

function readTensorInfo(cursor: GgufCursor, alignment: number): GgufTensorInfo {
  const file = cursor.source.name
  const name = cursor.string('tensor name', maxNameLength)
  const dimensions = cursor.uint32()
  if (name === '' || dimensions > maxDimensions) {
    throw new WeightsError(
      'HASS_ERR_GGUF_FIELD',
      `Tensor ${shown(name)} in ${file} has ${dimensions} dimensions, expected a name and at most ${maxDimensions}.`,
      { file, name, dimensions },
    )
  }
  const sizes = Array.from({ length: dimensions }, () => cursor.uint64())
  const typeNumber = cursor.uint32()
  const dtype = ggmlTypes.get(typeNumber)
  if (dtype === undefined) {
    throw new WeightsError(
      'HASS_ERR_DTYPE',
      `Tensor ${shown(name)} in ${file} has the GGML type ${typeNumber}, expected one of ${[...ggmlTypes.values()].join(', ')}.`,
      { file, name, found: typeNumber },
    )
  }
  const shape = sizes.map(Number).reverse()
  const elements = safeElementCount(shape, { file, name })
  const offset = cursor.uint64()
  if (offset % BigInt(alignment) !== 0n || offset > BigInt(cursor.source.size)) {
    throw new WeightsError(
      'HASS_ERR_GGUF_OFFSETS',
      `Tensor ${shown(name)} in ${file} begins at ${offset}, expected a multiple of ${alignment} inside the file.`,
      { file, name, found: offset, alignment },
    )
  }
  return { name, shape, offset: Number(offset), ...storage(dtype, shape, elements, { file, name }) }
}

function storage(
  dtype: StoredDType,
  shape: readonly number[],
  elements: number,
  where: { file: string; name: string },
): { dtype: StoredDType; byteLength: number; quantization?: GgmlQuantization } {
  if (isDType(dtype)) return { dtype, byteLength: elements * dtypeSize(dtype satisfies DType) }
  const quantization = ggmlQuantization(dtype satisfies GgmlQuantizedType)
  const { blockElements, blockBytes } = quantization
  const rowLength = shape.at(-1) ?? 1
  if (rowLength % blockElements !== 0) {
    throw new WeightsError(
      'HASS_ERR_GGUF_FIELD',
      `Tensor ${shown(where.name)} in ${where.file} has rows of ${rowLength} ${dtype} elements, expected a multiple of ${blockElements}.`,
      { ...where, found: rowLength, blockElements },
    )
  }
  return { dtype, byteLength: (elements / blockElements) * blockBytes, quantization }
}

function checkOverlaps(tensors: readonly GgufTensorInfo[], file: string): void {
  let end = 0
  for (const tensor of [...tensors].sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength)) {
    if (tensor.offset < end) {
      throw new WeightsError(
        'HASS_ERR_GGUF_OFFSETS',
        `Tensor ${shown(tensor.name)} in ${file} begins at ${tensor.offset}, inside another tensor that ends at ${end}.`,
        { file, name: tensor.name, found: tensor.offset, expected: end },
      )
    }
    end = tensor.offset + tensor.byteLength
  }
}
