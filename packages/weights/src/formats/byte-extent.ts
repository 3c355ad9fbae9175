import { type DType, dtypeSize, elementCount } from '@hass-engine/core'
import { shown, WeightsError } from '../errors.js'

/**
 * Elements and bytes of a tensor whose shape comes from a file.
 *
 * @throws WeightsError `HASS_ERR_SHAPE_OVERFLOW` if a dimension is negative or the bytes pass 2^53
 */
export function byteExtent(
  shape: readonly number[],
  dtype: DType,
  where: { file: string; name: string },
): { elements: number; byteLength: number } {
  const elements = safeElementCount(shape, where)
  const byteLength = elements * dtypeSize(dtype)
  if (!Number.isSafeInteger(byteLength)) refuseShape(shape, where)
  return { elements, byteLength }
}

/** @throws WeightsError `HASS_ERR_SHAPE_OVERFLOW` */
export function safeElementCount(shape: readonly number[], where: { file: string; name: string }): number {
  try {
    return elementCount(shape)
  } catch (cause) {
    return refuseShape(shape, where, cause)
  }
}

function refuseShape(shape: readonly number[], where: { file: string; name: string }, cause?: unknown): never {
  const text = shape.length > 8 ? `${shape.slice(0, 8)},…` : `${shape}`
  throw new WeightsError(
    'HASS_ERR_SHAPE_OVERFLOW',
    `Tensor ${shown(where.name)} in ${where.file} is [${text}], expected dimensions of 0 or more and at most 2^53 - 1 bytes in all.`,
    { ...where, shape },
    cause,
  )
}
