import type { WeightSource } from '@hass-engine/kernels'
import type { OpenedModel, TensorSource } from '@hass-engine/weights'
import { weightSource } from './upload-weights.js'

/**
 * The target's token ids of a reduced draft vocabulary, `[draftVocab]`; undefined if the head knows the whole one.
 *
 * `d2t` holds offsets, as in EAGLE-3: draft id i is the target's id `i + d2t[i]`.
 */
export async function readDraftVocabulary(head: OpenedModel): Promise<Uint32Array | undefined> {
  const offsets = head.tensors.get('d2t')
  if (!offsets) return undefined
  const bytes = await offsets.read()
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const isWide = offsets.dtype === 'I64'
  return Uint32Array.from({ length: offsets.shape[0]! }, (_, id) => {
    return id + (isWide ? Number(view.getBigInt64(8 * id, true)) : view.getInt32(4 * id, true))
  })
}

/** Some rows of a matrix, as they are stored: quantized blocks do not span rows. */
export function gatherRows(source: TensorSource, rows: Uint32Array): WeightSource {
  const whole = weightSource(source)
  return {
    ...whole,
    shape: [rows.length, ...source.shape.slice(1)],
    async data(firstRow, numRows) {
      const all = await whole.data(0, source.shape[0]!)
      const rowBytes = all.byteLength / source.shape[0]!
      const gathered = new Uint8Array(numRows * rowBytes)
      for (let i = 0; i < numRows; i++) {
        const row = rows[firstRow + i]!
        gathered.set(all.subarray(row * rowBytes, (row + 1) * rowBytes), i * rowBytes)
      }
      return gathered
    },
  }
}
