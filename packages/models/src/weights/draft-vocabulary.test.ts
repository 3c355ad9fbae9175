import { openModel } from '@hass-engine/weights'
import { expect, it } from 'vitest'
import { goldenPath } from '../../../../test/support/golden.js'
import { alterModel, floatTensor, integerTensor } from '../testing/altered-model.js'
import { goldenHead } from '../testing/golden-names.js'
import { gatherRows, readDraftVocabulary } from './draft-vocabulary.js'

const { headName } = goldenHead()

it('adds offsets to draft ids, 64 bits wide or 32', async () => {
  const head = await openModel(goldenPath('heads', headName))
  expect(await readDraftVocabulary(head)).toBeUndefined()
  const wide = integerTensor('d2t', [5, 4, -1])
  expect(await readDraftVocabulary(alterModel(head, [wide]))).toEqual(Uint32Array.of(5, 5, 1))
  const bytes = new Uint8Array(Int32Array.of(5, 4, -1).buffer)
  const narrow = { ...wide, dtype: 'I32', byteLength: bytes.length, read: async () => bytes } as const
  expect(await readDraftVocabulary(alterModel(head, [narrow]))).toEqual(Uint32Array.of(5, 5, 1))
})

it('gathers rows as they are stored, from any row on', async () => {
  const matrix = floatTensor('lm_head.weight', [4, 2], Float32Array.of(0, 1, 10, 11, 20, 21, 30, 31))
  const gathered = gatherRows(matrix, Uint32Array.of(3, 0, 2))
  expect(gathered).toMatchObject({ format: 'F32', shape: [3, 2] })
  const read = gathered.data as (firstRow: number, numRows: number) => Promise<Uint8Array>
  expect([...new Float32Array((await read(0, 3)).buffer)]).toEqual([30, 31, 0, 1, 20, 21])
  expect([...new Float32Array((await read(1, 2)).buffer)]).toEqual([0, 1, 20, 21])
})
