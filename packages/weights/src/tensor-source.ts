import { checkNumber, type DType, dtypes, elementCount, InvalidArgumentError, toFloat32 } from '@hass-engine/core'
import { WeightsError } from './errors.js'
import { dequantizeFp8Blocks } from './quantization/fp8-blocks.js'
import { dequantizeGgml, type GgmlQuantization, type GgmlQuantizedType } from './quantization/ggml.js'
import type { ByteSource } from './source/byte-source.js'

/** FP8 weights with one float32 factor per block, as DeepSeek-V3 publishes them (`weight_scale_inv`). */
export interface Fp8Quantization {
  readonly format: 'fp8-blocks'
  /** Rows and columns that share a factor; blocks at the edges are cut. */
  readonly blockShape: readonly [rows: number, columns: number]
  /** `[ceil(rows / blockRows), ceil(columns / blockColumns)]`, what an element is multiplied with. */
  readonly scales: TensorSource
}

/** How stored elements become numbers where the dtype alone does not say it. */
export type Quantization = GgmlQuantization | Fp8Quantization

/** An element type as stored: a plain one, or the name of a GGML block type. */
export type StoredDType = DType | GgmlQuantizedType

/** What is known of a tensor without reading its elements. */
export interface TensorDescription {
  readonly name: string
  readonly dtype: StoredDType
  /** Row-major, outermost dimension first; in elements, also for block types. */
  readonly shape: readonly number[]
  /** The file that holds it. */
  readonly file: string
  /** Where in the file its first element begins, in bytes. */
  readonly offset: number
  /** Bytes that `read` gives. */
  readonly byteLength: number
  /**
   * True if `byteLength` bytes at `offset` of the file are what `read` gives, so that a backend may map the file;
   * false where reading reorders them (strided PyTorch tensors, permuted GGUF rows).
   */
  readonly isVerbatim: boolean
  readonly quantization?: Quantization
}

/** A tensor in a file: described now, read when asked. */
export interface TensorSource extends TensorDescription {
  /** The elements as stored, little-endian, row-major, `[byteLength]`. */
  read(): Promise<Uint8Array>
  /**
   * The same into memory of the caller.
   *
   * @param target `[byteLength]`
   * @throws InvalidArgumentError if its length is another
   */
  readInto(target: Uint8Array): Promise<void>
  /**
   * Fills `target` with the bytes from `from` on, so that large tensors need not be in memory as a whole. Absent where
   * reading reorders them.
   */
  readRange?(target: Uint8Array, from: number): Promise<void>
  /**
   * The elements as numbers, dequantized, `[elements] float32`.
   *
   * @throws InvalidArgumentError for an integer dtype
   */
  readFloat32(): Promise<Float32Array>
}

/** Writes exactly the bytes that `TensorSource.readInto` promises. */
export type TensorFiller = (target: Uint8Array) => Promise<void>

/** Fills the whole of `target` with a tensor's bytes from `from` on. */
export type RangeFiller = (target: Uint8Array, from: number) => Promise<void>

export function createTensorSource(
  description: TensorDescription,
  fill: TensorFiller,
  fillRange?: RangeFiller,
): TensorSource {
  return new FilledTensor(description, fill, fillRange)
}

/** A tensor whose bytes lie in a source as they are. */
export function createVerbatimTensor(
  description: Omit<TensorDescription, 'file' | 'isVerbatim'>,
  source: ByteSource,
): TensorSource {
  const fillRange: RangeFiller = (target, from) => source.readInto(target, description.offset + from)
  const verbatim = { ...description, file: source.location, isVerbatim: true }
  return createTensorSource(verbatim, (target) => fillRange(target, 0), fillRange)
}

/** The same tensor, some of its description changed. */
export function describeTensor(tensor: TensorSource, changes: Partial<TensorDescription>): TensorSource {
  return createTensorSource(
    { ...descriptionOf(tensor), ...changes },
    (target) => tensor.readInto(target),
    tensor.readRange?.bind(tensor),
  )
}

export function descriptionOf(tensor: TensorSource): TensorDescription {
  const { name, dtype, shape, file, offset, byteLength, isVerbatim, quantization } = tensor
  return { name, dtype, shape, file, offset, byteLength, isVerbatim, ...(quantization && { quantization }) }
}

class FilledTensor implements TensorSource {
  readonly name: string
  readonly dtype: StoredDType
  readonly shape: readonly number[]
  readonly file: string
  readonly offset: number
  readonly byteLength: number
  readonly isVerbatim: boolean
  declare readonly quantization?: Quantization
  declare readonly readRange?: (target: Uint8Array, from: number) => Promise<void>
  readonly #fill: TensorFiller

  constructor(description: TensorDescription, fill: TensorFiller, fillRange?: RangeFiller) {
    this.name = description.name
    this.dtype = description.dtype
    this.shape = description.shape
    this.file = description.file
    this.offset = description.offset
    this.byteLength = description.byteLength
    this.isVerbatim = description.isVerbatim
    if (description.quantization) this.quantization = description.quantization
    this.#fill = fill
    if (fillRange) this.readRange = (target, from) => this.#readRange(target, from, fillRange)
  }

  async read(): Promise<Uint8Array> {
    const target = this.#allocate()
    await this.#fill(target)
    return target
  }

  async readInto(target: Uint8Array): Promise<void> {
    if (target.byteLength !== this.byteLength) {
      throw new InvalidArgumentError(
        `Tensor ${this.name} has ${this.byteLength} bytes, the buffer to read it into has ${target.byteLength}.`,
        { name: this.name, expected: this.byteLength, found: target.byteLength },
      )
    }
    await this.#fill(target)
  }

  async #readRange(target: Uint8Array, from: number, fillRange: RangeFiller): Promise<void> {
    const max = this.byteLength - target.byteLength
    checkNumber(from, `offset in tensor ${this.name}`, { min: 0, max, isInteger: true })
    await fillRange(target, from)
  }

  async readFloat32(): Promise<Float32Array> {
    const bytes = await this.read()
    if (this.quantization?.format === 'ggml') {
      return dequantizeGgml(bytes, this.quantization.type, elementCount(this.shape))
    }
    const values = toFloat32(bytes, this.dtype as DType)
    if (!this.quantization) return values
    const scales = await this.quantization.scales.readFloat32()
    return dequantizeFp8Blocks(values, scales, this.shape, this.quantization.blockShape)
  }

  #allocate(): Uint8Array {
    try {
      return new Uint8Array(this.byteLength)
    } catch (cause) {
      throw new WeightsError(
        'HASS_ERR_OUT_OF_MEMORY',
        `Tensor ${this.name} needs ${this.byteLength} bytes in one piece, which cannot be had.`,
        { name: this.name, byteLength: this.byteLength },
        cause,
      )
    }
  }
}

/** True for the dtypes of core, as a type guard over names from files. */
export function isDType(name: string): name is DType {
  return (dtypes as readonly string[]).includes(name)
}
