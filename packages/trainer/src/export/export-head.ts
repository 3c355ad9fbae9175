import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { checkOptionKeys, floatToBf16, floatToF16, InvalidArgumentError } from '@hass-engine/core'
import {
  type FileSystem,
  type OpenedModel,
  type WritableTensor,
  writeAtomically,
  writeSafetensors,
} from '@hass-engine/weights'
import { headConfigJson } from './head-config-json.js'
import { vocabularyTensors } from './head-model.js'
import { type HeadParameters, headConfig, shapeHeadParameters } from './head-parameters.js'

export interface ExportHeadOptions {
  /** Created if it is not there; files of an earlier export are replaced. */
  readonly folder: string
  /** The model that the head drafts for. */
  readonly target: OpenedModel
  readonly parameters: HeadParameters
  /** `[size]`, the target's ids of the draft vocabulary, ascending. Defaults to the whole vocabulary. */
  readonly draftVocabulary?: Uint32Array
  /** What parameters are rounded to. Defaults to `F32`. */
  readonly dtype?: 'F32' | 'F16' | 'BF16'
  /** Texts for the weights' header, such as what the head was trained on. Defaults to none. */
  readonly metadata?: Readonly<Record<string, string>>
  /** Stands in for `node:fs/promises`. Defaults to that. */
  readonly fileSystem?: FileSystem
}

/**
 * Writes a head as HASS and EAGLE publish theirs: `model.safetensors` with `fc.weight`, `layers.0.…` and, for a draft
 * vocabulary, `d2t` (offsets) and `t2d` (a mask), and `config.json`. Embedding and output are the target's and are left
 * out. In `F32`, what is read again is the same head to the bit.
 *
 * @throws InvalidArgumentError for parameters that are not those of a head for this target, or values that the dtype
 * cannot hold; WeightsError `HASS_ERR_NO_SPACE`, `HASS_ERR_FILE_WRITE`
 */
export async function exportHead(options: ExportHeadOptions): Promise<void> {
  checkOptionKeys(
    options,
    ['folder', 'target', 'parameters', 'draftVocabulary', 'dtype', 'metadata', 'fileSystem'],
    'exportHead',
  )
  const { folder, target, parameters, draftVocabulary, dtype = 'F32', metadata = {}, fileSystem } = options
  if (!['F32', 'F16', 'BF16'].includes(dtype)) {
    throw new InvalidArgumentError(`dtype is ${JSON.stringify(dtype)}, expected "F32", "F16" or "BF16".`, { dtype })
  }
  const config = headConfig(target.config, parameters, draftVocabulary?.length)
  const tensors = [...shapeHeadParameters(config, parameters)].map(
    ([name, { shape, data }]): WritableTensor => ({ name, dtype, shape, data: encode(name, data, dtype) }),
  )
  if (draftVocabulary) {
    const { offsets, mask } = vocabularyTensors(draftVocabulary, config.vocabSize)
    tensors.push({ name: 'd2t', dtype: 'I64', shape: [offsets.length], data: bytesOf(offsets) })
    tensors.push({ name: 't2d', dtype: 'BOOL', shape: [mask.length], data: mask })
  }
  const json = headConfigJson(config, { hasFcBias: parameters.has('fc.bias'), dtype })
  const bytes = Buffer.from(`${JSON.stringify(json, null, 2)}\n`)
  await mkdir(folder, { recursive: true })
  const weightsPath = join(folder, 'model.safetensors')
  await writeSafetensors(weightsPath, tensors, {
    metadata: { format: 'pt', ...metadata },
    ...(fileSystem && { fileSystem }),
  })
  await writeAtomically([{ path: join(folder, 'config.json'), write: (append) => append(bytes) }], fileSystem)
}

function encode(name: string, values: Float32Array, dtype: 'F32' | 'F16' | 'BF16'): Uint8Array {
  const bad = values.findIndex((value) => !Number.isFinite(value))
  if (bad !== -1) {
    throw new InvalidArgumentError(`Parameter ${name} is ${values[bad]} at ${bad}: a broken head is not exported.`, {
      name,
      index: bad,
    })
  }
  if (dtype === 'F32') return bytesOf(values)
  const encodeOne = dtype === 'F16' ? floatToF16 : floatToBf16
  const codes = Uint16Array.from(values, encodeOne)
  const overflow = dtype === 'F16' ? codes.findIndex((code) => (code & 0x7c00) === 0x7c00) : -1
  if (overflow === -1) return bytesOf(codes)
  throw new InvalidArgumentError(
    `Parameter ${name} is ${values[overflow]} at ${overflow}, beyond what F16 holds: export as BF16 or F32.`,
    { name, index: overflow, value: values[overflow] },
  )
}

function bytesOf(array: Float32Array | Uint16Array | BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}
