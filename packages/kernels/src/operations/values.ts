import { InvalidInputError } from '../errors.js'
import { type HostTensor, wordsOf } from '../reference/host-tensor.js'

/**
 * Refuses indices that are not below `limit`.
 *
 * @throws InvalidInputError `HASS_ERR_INVALID_INPUT`
 */
export function checkBelow(tensor: HostTensor, limit: number, what: string): void {
  const values = wordsOf(tensor)
  for (let index = 0; index < values.length; index++) {
    if (values[index]! >= limit) throw outOfRange(what, index, values[index]!, limit)
  }
}

/** The error for a value that is not below its limit. */
function outOfRange(what: string, index: number, value: number, limit: number): InvalidInputError {
  return new InvalidInputError(`${what} ${index} is ${value}, expected less than ${limit}.`, { index, value, limit })
}

/**
 * Refuses an offset table that falls, passes its list, or is not of `length`.
 *
 * @throws InvalidInputError `HASS_ERR_INVALID_INPUT`
 */
export function checkOffsets(tensor: HostTensor, length: number, limit: number, what: string): void {
  const offsets = wordsOf(tensor)
  if (offsets.length !== length) {
    throw new InvalidInputError(`${what} has ${offsets.length} entries, expected ${length}.`, {
      value: offsets.length,
      limit: length,
    })
  }
  for (let index = 0; index < offsets.length; index++) {
    const value = offsets[index]!
    const last = index > 0 ? offsets[index - 1]! : 0
    if (value >= last && value <= limit) continue
    throw new InvalidInputError(`${what} ${index} is ${value}, expected ${last} to ${limit}.`, { index, value, limit })
  }
}

/**
 * Refuses slots that are named twice.
 *
 * @throws InvalidInputError `HASS_ERR_INVALID_INPUT`
 */
export function checkDistinct(tensor: HostTensor, what: string): void {
  const seen = new Set<number>()
  for (const [index, value] of wordsOf(tensor).entries()) {
    if (seen.has(value)) {
      throw new InvalidInputError(`${what} ${index} is ${value}, which an earlier one is too.`, { index, value })
    }
    seen.add(value)
  }
}
