import {
  checkNumber,
  createNoiseField,
  InvalidArgumentError,
  type LogitsRows,
  type NoiseField,
} from '@hass-engine/core'
import { argMax, gumbelArgMax } from './row.js'

/**
 * Logits that lie in an array; also what an implementation on a device must agree with, bit for bit.
 *
 * @param data `[rows, vocabSize] float32`, row-major; kept, not copied
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT` if the array is no whole number of rows
 */
export function createLogitsRows(data: Float32Array, vocabSize: number): LogitsRows {
  checkNumber(vocabSize, 'vocabSize', { min: 1, isInteger: true })
  const rows = data.length / vocabSize
  if (!Number.isInteger(rows)) {
    throw new InvalidArgumentError(`${data.length} logits are no whole number of rows of ${vocabSize}.`, {
      length: data.length,
      vocabSize,
    })
  }
  const view = (row: number) => {
    checkNumber(row, 'row', { min: 0, below: rows, isInteger: true })
    return data.subarray(row * vocabSize, (row + 1) * vocabSize)
  }
  let noise: NoiseField | undefined
  return {
    rows,
    vocabSize,
    argMax: (row) => argMax(view(row)),
    gumbelArgMax(row, { temperature, seed, position }) {
      // Rows of one sequence share a seed: its field is kept until another is asked for.
      if (noise?.seed !== seed) noise = createNoiseField(seed)
      return gumbelArgMax(view(row), temperature, noise, position)
    },
    read: (row) => view(row).slice(),
  }
}
