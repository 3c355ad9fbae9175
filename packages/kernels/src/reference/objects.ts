import { f16ToFloat } from '@hass-engine/core'
import { subBlockNibble, subBlockScales } from '../packing/formats.js'
import { type DeviceDType, DTypeCode, packedColumns } from '../program.js'
import type { Arithmetic } from './arithmetic.js'
import { float64 } from './arithmetic.js'
import type { HostData, PackedData } from './host-tensor.js'
import { backendError } from './registry.js'
import { blockSize } from './widen.js'

/** Runs that wait for each other, and whether the device is gone. */
export class ReferenceDevice {
  readonly arithmetic: Arithmetic
  /** Ends when the last queued run has ended. */
  queue: Promise<unknown> = Promise.resolve()
  /** Queued and running runs by their ids, and whether each was cancelled. */
  readonly runs = new Map<number, { isCancelled: boolean }>()
  isDisposed = false
  memoryBytes = 0
  busyMs = 0

  constructor(arithmetic: Arithmetic) {
    this.arithmetic = arithmetic
  }

  /** Bytes of one float of this device's precision. */
  get floatBytes(): 4 | 8 {
    return this.arithmetic === float64 ? 8 : 4
  }
}

/** What a program's weights and states are bound to: plain bytes, or a matrix. */
export class ReferenceBuffer {
  readonly device: ReferenceDevice
  /** Row-major elements; empty for packed weights. */
  readonly bytes: Uint8Array
  readonly dtype: DeviceDType | undefined
  readonly rows: number
  readonly columns: number
  readonly packed: PackedData | undefined
  /** Queued and running runs that use it. */
  numRuns = 0

  constructor(device: ReferenceDevice, bytes: number, matrix?: { dtype: DeviceDType; rows: number; columns: number }) {
    this.device = device
    this.dtype = matrix?.dtype
    this.rows = matrix?.rows ?? 0
    this.columns = matrix?.columns ?? 0
    const isPacked = this.dtype !== undefined && packedColumns[this.dtype] !== undefined
    try {
      this.bytes = new Uint8Array(isPacked ? 0 : bytes)
      const elements = this.rows * this.columns
      const blockColumns = this.dtype === 'F8' ? packedColumns.F8! : blockSize
      this.packed = isPacked
        ? {
            blockColumns,
            quants: new Int8Array(elements),
            scales: new Float32Array(elements / blockColumns),
            minimums: new Float32Array(elements / blockColumns),
          }
        : undefined
    } catch {
      throw backendError('OUT_OF_MEMORY', `${bytes} bytes could not be allocated`, { bytes })
    }
    device.memoryBytes += this.byteLength
  }

  get byteLength(): number {
    const { packed } = this
    return packed ? packed.quants.length + 8 * packed.scales.length : this.bytes.length
  }
}

const formatRowBytes: Readonly<Record<string, (columns: number) => number>> = {
  F32: (columns) => 4 * columns,
  F16: (columns) => 2 * columns,
  BF16: (columns) => 2 * columns,
  Q4_0: (columns) => (columns / blockSize) * 18,
  Q4_1: (columns) => (columns / blockSize) * 20,
  Q8_0: (columns) => (columns / blockSize) * 34,
  Q4_K: (columns) => (columns / 256) * 144,
  F8_128: (columns) => (columns / 128) * 132,
}

/** Formats that each matrix dtype takes. */
const formatsOf: Partial<Record<DeviceDType, readonly string[]>> = {
  F32: ['F32', 'F16', 'BF16'],
  F16: ['F16'],
  BF16: ['BF16'],
  Q4: ['Q4_0', 'Q4_1'],
  Q8: ['Q8_0'],
  Q4K: ['Q4_K'],
  F8: ['F8_128'],
}

/** Converts rows of file bytes into a matrix. */
export function writeRows(
  matrix: ReferenceBuffer,
  format: string,
  firstRow: number,
  numRows: number,
  bytes: Uint8Array,
): void {
  const { dtype, rows, columns, packed } = matrix
  if (!dtype) throw backendError('INVALID_ARGUMENT', 'a plain buffer is no weight')
  if (!formatsOf[dtype]!.includes(format)) {
    throw backendError('UNSUPPORTED', `a ${dtype} weight cannot be written from ${format}`)
  }
  const isInside = Number.isInteger(firstRow) && Number.isInteger(numRows) && firstRow >= 0 && numRows >= 0
  if (!isInside || firstRow + numRows > rows) {
    throw backendError('INVALID_ARGUMENT', `rows ${firstRow} to ${firstRow + numRows} of ${rows}`)
  }
  const expected = numRows * formatRowBytes[format]!(columns)
  if (bytes.length !== expected) {
    throw backendError('INVALID_ARGUMENT', `${bytes.length} bytes, expected ${expected}`, { expected })
  }
  const first = firstRow * columns
  if (packed && dtype === 'Q4K') unpackQ4K(packed, first, bytes)
  else if (packed && dtype === 'F8') unpackF8(packed, first, bytes)
  else if (packed) unpackBlocks(packed, format, first / blockSize, bytes)
  else writeFloats(matrix, format, first, bytes)
}

function writeFloats(matrix: ReferenceBuffer, format: string, first: number, bytes: Uint8Array): void {
  const size = format === 'F32' ? 4 : 2
  if (format === matrix.dtype && matrix.bytes.length === matrix.rows * matrix.columns * size) {
    matrix.bytes.set(bytes, first * size)
    return
  }
  const target = viewOf('F32', matrix.bytes, matrix.device)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const words = new DataView(new ArrayBuffer(4))
  for (let i = 0; i * size < bytes.length; i++) {
    if (format === 'F32') target[first + i] = view.getFloat32(i * 4, true)
    else if (format === 'F16') target[first + i] = f16ToFloat(view.getUint16(i * 2, true))
    else {
      words.setUint32(0, view.getUint16(i * 2, true) << 16)
      target[first + i] = words.getFloat32(0)
    }
  }
}

function unpackBlocks(packed: PackedData, format: string, firstBlock: number, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const stride = formatRowBytes[format]!(blockSize)
  for (let at = 0, block = firstBlock; at < bytes.length; at += stride, block++) {
    const scale = f16ToFloat(view.getUint16(at, true))
    const first = block * blockSize
    packed.scales[block] = scale
    if (format === 'Q8_0') {
      for (let i = 0; i < blockSize; i++) packed.quants[first + i] = view.getInt8(at + 2 + i)
      continue
    }
    packed.minimums[block] = format === 'Q4_0' ? -8 * scale : f16ToFloat(view.getUint16(at + 2, true))
    if (Math.abs(packed.minimums[block]!) > 65504 && Math.abs(scale) <= 65504) {
      throw backendError('INVALID_ARGUMENT', `block ${block}: the eightfold of its scale ${scale} is no float16`)
    }
    const nibbles = at + (format === 'Q4_0' ? 2 : 4)
    for (let i = 0; i < 16; i++) {
      packed.quants[first + i] = bytes[nibbles + i]! & 15
      packed.quants[first + i + 16] = bytes[nibbles + i]! >> 4
    }
  }
}

/** d · scale and dmin · minimum are exact: eleven digits times six. */
function unpackQ4K({ quants, scales, minimums }: PackedData, first: number, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0, to = first; at < bytes.length; at += 144) {
    const [d, dmin] = [f16ToFloat(view.getUint16(at, true)), f16ToFloat(view.getUint16(at + 2, true))]
    for (let j = 0; j < 8; j++, to += blockSize) {
      const [scale, minimum] = subBlockScales(view, at + 4, j)
      scales[to / blockSize] = d * scale
      minimums[to / blockSize] = -dmin * minimum
      for (let i = 0; i < blockSize; i++) quants[to + i] = subBlockNibble(view, at + 16, j, i)
    }
  }
}

function unpackF8({ quants, scales, blockColumns }: PackedData, first: number, bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0, to = first; at < bytes.length; at += 4 + blockColumns, to += blockColumns) {
    scales[to / blockColumns] = view.getFloat32(at, true)
    for (let i = 0; i < blockColumns; i++) quants[to + i] = view.getInt8(at + 4 + i)
  }
}

/** Typed elements over the bytes of a buffer or arena place, which start on a multiple of 8. */
export function viewOf(dtype: DeviceDType, bytes: Uint8Array, device: ReferenceDevice, count?: number): HostData {
  const { buffer, byteOffset } = bytes
  const length = count ?? bytes.length / elementBytes(dtype, device)
  switch (dtype) {
    case 'F32':
      return device.floatBytes === 8
        ? new Float64Array(buffer, byteOffset, length)
        : new Float32Array(buffer, byteOffset, length)
    case 'I32':
      return new Int32Array(buffer, byteOffset, length)
    case 'U32':
      return new Uint32Array(buffer, byteOffset, length)
    default:
      return new Uint16Array(buffer, byteOffset, length)
  }
}

/** Bytes of one element on a reference device; 0 for packed dtypes. */
export function elementBytes(dtype: DeviceDType, device: ReferenceDevice): number {
  if (dtype === 'F32') return device.floatBytes
  if (dtype === 'F16' || dtype === 'BF16') return 2
  return DTypeCode[dtype] < DTypeCode.Q4 ? 4 : 0
}
