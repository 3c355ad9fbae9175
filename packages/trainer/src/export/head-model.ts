import { checkOptionKeys, InvalidArgumentError } from '@hass-engine/core'
import { createMemoryTensor, type OpenedModel } from '@hass-engine/weights'
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
  const tensors = [...shaped].map(([name, { shape, data }]) => createMemoryTensor({ name, dtype: 'F32', shape, data }))
  if (draftVocabulary) {
    const { offsets, mask } = vocabularyTensors(draftVocabulary, target.config.vocabSize)
    tensors.push(createMemoryTensor({ name: 'd2t', dtype: 'I64', shape: [offsets.length], data: offsets }))
    tensors.push(createMemoryTensor({ name: 't2d', dtype: 'BOOL', shape: [mask.length], data: mask }))
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
