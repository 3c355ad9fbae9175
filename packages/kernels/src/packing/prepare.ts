import { type Awaitable, checkNumber, InvalidArgumentError } from '@hass-engine/core'
import type { WeightConversion } from '../device-tensor.js'
import { UnsupportedError } from '../errors.js'
import { type DeviceDType, packedColumns } from '../program.js'
import { blockFormats, decodeBlocks, type WeightFormat, weightFormats } from './formats.js'
import { type EncodedRows, encodeFloats, encodeQ8, repackQ4K, repackQ5 } from './quantize.js'

/** Elements of one tensor as a file holds them. */
export interface WeightSource {
  /** For messages. */
  readonly name: string
  readonly format: WeightFormat
  /** Outermost first; blocks lie along the last extent. */
  readonly shape: readonly number[]
  /**
   * All bytes in row-major order, or a function that reads rows `firstRow` to `firstRow + numRows` of them into memory
   * that is its own again at its next call.
   */
  readonly data: ArrayBufferView | ((firstRow: number, numRows: number) => Awaitable<ArrayBufferView>)
}

/** Rows ready to be written to a device. */
export interface WeightChunk extends EncodedRows {
  readonly firstRow: number
  readonly numRows: number
}

export interface WeightPlan {
  readonly dtype: DeviceDType
  readonly shape: readonly number[]
  chunks(): AsyncGenerator<WeightChunk>
  /** What the chunks have lost so far. */
  conversion(): WeightConversion
}

/** Source bytes that are converted here at a time: few enough to keep the event loop turning. */
const convertedBytes = 2 ** 17

/** Source bytes that go to the backend at a time as they are: enough for each of its threads to have its share. */
const directBytes = 2 ** 20

/** Formats that backends read into a matrix of a dtype by themselves, losing nothing. */
const direct: Partial<Record<DeviceDType, readonly WeightFormat[]>> = {
  F32: ['F32'],
  F16: ['F16'],
  BF16: ['BF16'],
  Q4: ['Q4_0', 'Q4_1'],
  Q8: ['Q8_0'],
  Q4K: ['Q4_K'],
  F8: ['F8_128'],
}

/** Dtypes that nothing is rounded to. */
const unrounded: readonly DeviceDType[] = ['Q4K', 'F8']

/** From the smallest to what holds all the others' values, which is also for those that are not named. */
const widening: readonly DeviceDType[] = ['Q4K', 'Q4', 'Q8', 'F16', 'F32']

/**
 * Checks sources that are to be one tensor, stacked along their first extent, and how they get there.
 *
 * @param dtype Defaults to what the formats map onto best, and F32 for anything but two extents
 * @throws InvalidArgumentError for shapes that do not stack, or bytes of the wrong length
 */
export function prepareWeights(sources: readonly WeightSource[], dtype?: DeviceDType): WeightPlan {
  const [first] = sources
  if (!first) throw new InvalidArgumentError('upload was given no source.')
  for (const source of sources) checkSource(source, first)
  const isMatrix = first.shape.length === 2
  const wanted = dtype ?? (isMatrix ? commonDType(sources) : 'F32')
  if (!direct[wanted] || (!isMatrix && packedColumns[wanted])) {
    throw new UnsupportedError(
      `Weights "${first.name}" of ${first.shape.length} extents cannot be kept as ${wanted}.`,
      {
        dtype: wanted,
      },
    )
  }
  const other = unrounded.includes(wanted) && sources.find(({ format }) => !direct[wanted]!.includes(format))
  if (other) {
    throw new UnsupportedError(
      `Weights "${other.name}" are ${other.format} and cannot be kept as ${wanted}, expected ${direct[wanted]!.join(' or ')}.`,
      { tensor: other.name, format: other.format, dtype: wanted },
    )
  }
  const numRows = sources.reduce((total, { shape }) => total + shape[0]!, 0)
  let maxError = 0
  return {
    dtype: wanted,
    shape: [numRows, ...first.shape.slice(1)],
    conversion: () => ({ formats: sources.map(({ format }) => format), isExact: maxError === 0, maxError }),
    async *chunks() {
      let firstRow = 0
      for (const source of sources) {
        const rowBytes = bytesPerRow(source)
        const chunkBytes = direct[wanted]!.includes(source.format) ? directBytes : convertedBytes
        const step = Math.max(1, Math.floor(chunkBytes / Math.max(rowBytes, 1)))
        for (let row = 0; row < source.shape[0]!; row += step) {
          const count = Math.min(step, source.shape[0]! - row)
          const bytes = await readRows(source, row, count, rowBytes)
          const { encoded, error } = convert(source.format, bytes, wanted)
          maxError = Math.max(maxError, error)
          yield { ...encoded, firstRow: firstRow + row, numRows: count }
        }
        firstRow += source.shape[0]!
      }
    },
  }
}

function commonDType(sources: readonly WeightSource[]): DeviceDType {
  const found = new Set(sources.map(({ format }) => blockFormats[format].dtype))
  if (found.size === 1) return [...found][0]!
  return [...found].every((dtype) => widening.includes(dtype)) ? widening.findLast((dtype) => found.has(dtype))! : 'F32'
}

function checkSource({ name, format, shape, data }: WeightSource, first: WeightSource): void {
  if (!weightFormats.includes(format)) {
    throw new UnsupportedError(
      `Tensor "${name}" has the format ${String(format)}, expected one of ${weightFormats.join(', ')}.`,
      { tensor: name, format },
    )
  }
  if (shape.length < 1 || shape.length > 4) {
    throw new InvalidArgumentError(`Tensor "${name}" has ${shape.length} extents, expected 1 to 4.`, { tensor: name })
  }
  let elements = 1
  for (const extent of shape) {
    elements *= checkNumber(extent, `an extent of tensor "${name}"`, { min: 0, max: 2 ** 31 - 1, isInteger: true })
  }
  checkNumber(elements, `the elements of tensor "${name}"`, { below: 2 ** 40 })
  const block = blockFormats[format].elements
  if (shape.at(-1)! % block !== 0) {
    throw new InvalidArgumentError(
      `Tensor "${name}" is [${shape}] ${format}, expected a multiple of ${block} columns.`,
      { tensor: name, shape },
    )
  }
  const tail = shape.slice(1)
  if (tail.length !== first.shape.length - 1 || tail.some((extent, axis) => extent !== first.shape[axis + 1])) {
    throw new InvalidArgumentError(
      `Tensor "${name}" is [${shape}] and cannot be stacked on "${first.name}" of [${first.shape}].`,
      { tensor: name, found: shape, expected: first.shape },
    )
  }
  if (typeof data === 'function') return
  const expected = (elements / block) * blockFormats[format].bytes
  if (!ArrayBuffer.isView(data) || data.byteLength !== expected) {
    throw new InvalidArgumentError(
      `Tensor "${name}" has ${ArrayBuffer.isView(data) ? data.byteLength : 'no'} bytes, expected ${expected} for [${shape}] ${format}.`,
      { tensor: name, expected },
    )
  }
}

function bytesPerRow({ format, shape }: WeightSource): number {
  const { elements, bytes } = blockFormats[format]
  return (shape.slice(1).reduce((product, extent) => product * extent, 1) / elements) * bytes
}

async function readRows(source: WeightSource, row: number, count: number, rowBytes: number): Promise<Uint8Array> {
  const { data, name } = source
  const view = typeof data === 'function' ? await data(row, count) : data
  const from = typeof data === 'function' ? 0 : row * rowBytes
  if (view.byteLength < from + count * rowBytes) {
    throw new InvalidArgumentError(
      `Rows ${row} to ${row + count} of tensor "${name}" came as ${view.byteLength} bytes, expected ${count * rowBytes}.`,
      { tensor: name, row, expected: count * rowBytes },
    )
  }
  return new Uint8Array(view.buffer, view.byteOffset + from, count * rowBytes)
}

function convert(format: WeightFormat, bytes: Uint8Array, dtype: DeviceDType): { encoded: EncodedRows; error: number } {
  if (direct[dtype]!.includes(format)) return { encoded: { format, bytes }, error: 0 }
  if (format === 'Q5_0' && dtype === 'Q8') return { encoded: repackQ5(bytes), error: 0 }
  const values = decodeBlocks(format, bytes)
  if (dtype === 'Q8') return encodeQ8(values)
  const encoded = format === 'Q4_K' && dtype === 'Q4' ? repackQ4K(bytes) : encodeFloats(values, dtype)
  return { encoded, error: largestDifference(values, decodeBlocks(encoded.format, encoded.bytes)) }
}

/** Infinity where a number became none or the other way round. */
function largestDifference(before: Float32Array, after: Float32Array): number {
  let largest = 0
  for (let i = 0; i < before.length; i++) {
    const [a, b] = [before[i]!, after[i]!]
    if (Object.is(a, b) || a === b) continue
    const difference = Math.abs(a - b)
    largest = Math.max(largest, Number.isNaN(difference) ? Infinity : difference)
  }
  return largest
}
