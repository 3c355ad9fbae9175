import type { Device, DeviceDType, DeviceTensor, WeightSource } from '@hass-engine/kernels'
import { packedColumns, weightFormats } from '@hass-engine/kernels'
import type { TensorSource } from '@hass-engine/weights'
import { fp8RowReader, isFp8Blocks } from './fp8-rows.js'

/** A tensor that the device does not hold exactly as its file says. */
export interface ConvertedTensor {
  readonly name: string
  /** Of the parts that were stacked, in order. */
  readonly formats: readonly string[]
  readonly dtype: DeviceDType
  /** Largest absolute difference of an element. */
  readonly maxError: number
}

/** How exactly a device holds a model's weights. */
export interface Precision {
  readonly isExact: boolean
  readonly converted: readonly ConvertedTensor[]
}

export interface UploadedWeights {
  /** By name; projections that are computed together are one tensor. */
  readonly tensors: Map<string, DeviceTensor>
  readonly precision: Precision
}

export interface UploadWeightsOptions {
  /**
   * What matrices are kept as; those whose rows are no whole blocks of a packed dtype stay as their file has them.
   * Defaults to what their format maps onto best.
   */
  readonly dtype?: DeviceDType
  readonly signal?: AbortSignal
}

/** Parts that become one matrix, stacked in this order: one linear reads its input once. */
const stacks: Readonly<Record<string, readonly string[]>> = {
  'self_attn.qkv_proj': ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj'],
  'mlp.gate_up_proj': ['mlp.gate_proj', 'mlp.up_proj'],
}

/** While one tensor is being packed others are read; each reads a part at a time. */
const uploadsAtOnce = 3

/**
 * Copies tensors onto a device, a few at a time. If one fails, or the signal is aborted, all of them are freed.
 *
 * @param sources by canonical name
 */
export async function uploadWeights(
  device: Device,
  sources: ReadonlyMap<string, TensorSource>,
  options: UploadWeightsOptions = {},
): Promise<UploadedWeights> {
  const { dtype, signal } = options
  const uploaded = new Map<string, DeviceTensor>()
  const stacked = stackParts(sources)
  const waiting = [...stacked]
  const uploadWaiting = async () => {
    const memory = new ReadMemory()
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      signal?.throwIfAborted()
      const [name, parts] = next
      const wanted = dtype && canKeepAs(dtype, parts[0]!.shape) ? { dtype } : {}
      const from = parts.map((part) => weightSource(part, memory))
      uploaded.set(name, await device.upload(from, wanted))
    }
  }
  const results = await Promise.allSettled(
    Array.from({ length: uploadsAtOnce }, () =>
      uploadWaiting().catch((error) => {
        waiting.length = 0
        throw error
      }),
    ),
  )
  const failed = results.find((result) => result.status === 'rejected')
  if (failed) {
    for (const tensor of uploaded.values()) tensor.dispose()
    throw failed.reason
  }
  const tensors = new Map([...stacked.keys()].map((name) => [name, uploaded.get(name)!]))
  return { tensors, precision: precisionOf(tensors) }
}

function canKeepAs(dtype: DeviceDType, shape: readonly number[]): boolean {
  return shape.length === 2 && shape[1]! % (packedColumns[dtype] ?? 1) === 0
}

/** How exactly tensors are held, by what was said when they were uploaded. */
export function precisionOf(tensors: ReadonlyMap<string, DeviceTensor>): Precision {
  const converted = [...tensors].flatMap(([name, { dtype, conversion }]): ConvertedTensor[] => {
    const { isExact, formats, maxError } = conversion
    return isExact ? [] : [{ name, formats, dtype, maxError }]
  })
  return { isExact: converted.length === 0, converted }
}

/** What one read after the other goes to: loading leaves no garbage of a model's size behind. */
class ReadMemory {
  #bytes = new Uint8Array()

  take(length: number): Uint8Array {
    if (length > this.#bytes.length) this.#bytes = new Uint8Array(length)
    return this.#bytes.subarray(0, length)
  }
}

/** What the device takes, rows as it asks for them. */
interface WeightRows extends WeightSource {
  readonly data: (firstRow: number, numRows: number) => Promise<Uint8Array>
}

/**
 * The tensor as the device takes it; formats that it does not know are read as numbers.
 *
 * @param memory what rows are read into, valid until the next are asked for. Defaults to memory for the whole tensor
 */
export function weightSource(source: TensorSource, memory?: ReadMemory): WeightRows {
  const { name, shape } = source
  if (isFp8Blocks(source)) {
    const readCodes = memory && source.readRange ? rangeReader(source, memory) : rowReader(source, true)
    return { name, format: 'F8_128', shape, data: fp8RowReader(source, readCodes) }
  }
  const isKnown = !source.quantization || source.quantization.format === 'ggml'
  const format = isKnown ? weightFormats.find((known) => known === source.dtype) : undefined
  const data =
    format && memory && source.readRange ? rangeReader(source, memory) : rowReader(source, format !== undefined)
  return { name, format: format ?? 'F32', shape, data }
}

function rangeReader(source: TensorSource, memory: ReadMemory) {
  const rowBytes = source.byteLength / source.shape[0]!
  return async (firstRow: number, numRows: number) => {
    const target = memory.take(numRows * rowBytes)
    await source.readRange!(target, firstRow * rowBytes)
    return target
  }
}

/** Reads the whole tensor when rows are first asked for: it is in memory for as long as it is being uploaded. */
function rowReader(source: TensorSource, isAsStored: boolean) {
  let reading: Promise<Uint8Array> | undefined
  return async (firstRow: number, numRows: number) => {
    reading ??= isAsStored ? source.read() : source.readFloat32().then(({ buffer }) => new Uint8Array(buffer))
    const bytes = await reading
    const rowBytes = bytes.byteLength / source.shape[0]!
    return bytes.subarray(firstRow * rowBytes, (firstRow + numRows) * rowBytes)
  }
}

function stackParts(sources: ReadonlyMap<string, TensorSource>): Map<string, TensorSource[]> {
  const stacked = new Map<string, TensorSource[]>()
  for (const [name, source] of sources) {
    const [whole, parts] = Object.entries(stacks).find(([, names]) => names.some((part) => name.includes(part))) ?? []
    if (!whole || !parts) {
      stacked.set(name, [source])
    } else if (name.includes(parts[0]!)) {
      const names = parts.map((part) => name.replace(parts[0]!, part))
      stacked.set(
        name.replace(parts[0]!, whole),
        names.map((part) => sources.get(part)!),
      )
    }
  }
  return stacked
}
