import { type DType, dtypeSize, elementCount, InvalidArgumentError } from '@hass-engine/core'
import { createTensorSource, type TensorSource } from '../tensor-source.js'

export interface MemoryTensor {
  readonly name: string
  readonly dtype: DType
  /** Row-major, outermost dimension first. */
  readonly shape: readonly number[]
  /** The elements, little-endian: of any typed array, its bytes count. */
  readonly data: ArrayBufferView
}

/**
 * A tensor whose elements are in memory already; they are not copied, `read` copies them.
 *
 * @throws InvalidArgumentError for data that is not of the shape's size
 */
export function createMemoryTensor({ name, dtype, shape, data }: MemoryTensor): TensorSource {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const byteLength = elementCount(shape) * dtypeSize(dtype)
  if (bytes.byteLength !== byteLength) {
    throw new InvalidArgumentError(
      `Tensor ${name} has ${bytes.byteLength} bytes, expected ${byteLength} for [${shape}] ${dtype}.`,
      { name, expected: byteLength, found: bytes.byteLength },
    )
  }
  const fill = async (target: Uint8Array, from: number) => target.set(bytes.subarray(from, from + target.byteLength))
  const description = { name, dtype, shape, file: 'memory', offset: 0, byteLength, isVerbatim: false }
  return createTensorSource(description, (target) => fill(target, 0), fill)
}
