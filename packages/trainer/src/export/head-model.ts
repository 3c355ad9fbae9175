import { checkOptionKeys, InvalidArgumentError, toFloat32 } from '@hass-engine/core'
import type { OpenedModel, TensorSource } from '@hass-engine/weights'
import { type HeadParameters, headConfig, shapeHeadParameters } from './head-parameters.js'

export interface HeadModelOptions {
  /** The model that the head drafts for. */
  readonly target: OpenedModel
  readonly parameters: HeadParameters
  /** `[size]`, the target's ids of the draft vocabulary, ascending. Defaults to the whole vocabulary. */
  readonly draftVocabulary?: Uint32Array
}

/**
 * A head in memory, as `openModel` would give it of its files: for `createDraftHead` while it is being trained. The
 * parameters are not copied.
 *
 * @throws InvalidArgumentError for parameters that are not those of a head for this target
 */
export function createHeadModel(options: HeadModelOptions): OpenedModel {
  checkOptionKeys(options, ['target', 'parameters', 'draftVocabulary'], 'createHeadModel')
  const { target, parameters, draftVocabulary } = options
  const config = headConfig(target.config, parameters, draftVocabulary?.length)
  const shaped = shapeHeadParameters(config, parameters)
  const tensors = [...shaped].map(([name, { shape, data }]) => memoryTensor(name, 'F32', shape, data))
  if (draftVocabulary) {
    const { offsets, mask } = vocabularyTensors(draftVocabulary, target.config.vocabSize)
    tensors.push(memoryTensor('d2t', 'I64', [offsets.length], offsets))
    tensors.push(memoryTensor('t2d', 'BOOL', [mask.length], mask))
  }
  return {
    path: 'memory',
    config,
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    tokenizer: target.tokenizer,
  }
}

/**
 * A draft vocabulary as files hold it (EAGLE-3): draft id i is the target's `i + offsets[i]`; the mask says of every id
 * of the target whether it is one.
 *
 * @throws InvalidArgumentError for ids that do not ascend or are none of the target's
 */
export function vocabularyTensors(
  ids: Uint32Array,
  vocabSize: number,
): { readonly offsets: BigInt64Array; readonly mask: Uint8Array } {
  const mask = new Uint8Array(vocabSize)
  for (const [i, id] of ids.entries()) {
    if (id >= vocabSize || (i > 0 && id <= ids[i - 1]!)) {
      throw new InvalidArgumentError(
        `Id ${id} at ${i} of the draft vocabulary is ${id >= vocabSize ? `not below ${vocabSize}` : `not above the one before it, ${ids[i - 1]}`}: expected ascending ids of the target.`,
        { index: i, id, vocabSize },
      )
    }
    mask[id] = 1
  }
  return { offsets: BigInt64Array.from(ids, (id, i) => BigInt(id - i)), mask }
}

function memoryTensor(
  name: string,
  dtype: 'F32' | 'I64' | 'BOOL',
  shape: readonly number[],
  values: Float32Array | BigInt64Array | Uint8Array,
): TensorSource {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return {
    name,
    dtype,
    shape,
    file: 'memory',
    offset: 0,
    byteLength: bytes.byteLength,
    isVerbatim: false,
    read: async () => bytes.slice(),
    readInto: async (target) => target.set(bytes),
    readFloat32: async () => toFloat32(bytes, dtype),
  }
}
