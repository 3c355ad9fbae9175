import type { DType } from './dtype.js'
import { InvalidArgumentError } from './errors.js'

/** What is known of a tensor before its elements are read. Row-major, outermost dimension first. */
export interface TensorInfo {
  readonly name: string
  readonly dtype: DType
  readonly shape: readonly number[]
}

/**
 * The number of elements of a shape; 1 for rank 0, 0 where a dimension is 0.
 *
 * @throws InvalidArgumentError if a dimension is no non-negative integer or the product passes 2^53
 */
export function elementCount(shape: readonly number[]): number {
  let count = 1
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) {
      throw new InvalidArgumentError(
        `Shape [${shape}] has the dimension ${dimension}, expected integers from 0 to 2^53.`,
        { shape },
      )
    }
    count *= dimension
    // A zero further on must not excuse an overflow before it.
    if (!Number.isSafeInteger(count)) {
      throw new InvalidArgumentError(`Shape [${shape}] has more than 2^53 elements.`, { shape })
    }
  }
  return count
}
