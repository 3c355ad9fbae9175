import { checkOptionKeys } from '@hass-engine/core'
import type { OpenedModel } from '@hass-engine/weights'
import type { HeadTrainerOptions } from '../create-head-trainer.js'
import { type HeadParameters, headConfig, shapeHeadParameters } from './head-parameters.js'

export interface TrainerInputsOptions {
  readonly target: OpenedModel
  /** Where training starts. */
  readonly parameters: HeadParameters
  /** `[size]`, the target's ids of the draft vocabulary, ascending. Defaults to the whole vocabulary. */
  readonly draftVocabulary?: Uint32Array
}

/** What `createHeadTrainer` takes of a target, read from its files. */
export async function readTrainerInputs(
  options: TrainerInputsOptions,
): Promise<Pick<HeadTrainerOptions, 'config' | 'parameters' | 'embedTokens' | 'lmHead'>> {
  checkOptionKeys(options, ['target', 'parameters', 'draftVocabulary'], 'readTrainerInputs')
  const { target, parameters, draftVocabulary } = options
  const config = headConfig(target.config, parameters, draftVocabulary?.length)
  const { hiddenSize: size, vocabSize, tiesEmbeddings } = target.config
  const embeddings = await target.tensors.get('embed_tokens.weight')!.readFloat32()
  const output = tiesEmbeddings ? embeddings : await target.tensors.get('lm_head.weight')!.readFloat32()
  let lmHead = output
  if (draftVocabulary) {
    lmHead = new Float32Array(draftVocabulary.length * size)
    for (const [i, id] of draftVocabulary.entries()) lmHead.set(output.subarray(id * size, (id + 1) * size), i * size)
  }
  return {
    config,
    parameters: shapeHeadParameters(config, parameters),
    embedTokens: { name: 'embed_tokens.weight', format: 'F32', shape: [vocabSize, size], data: embeddings },
    lmHead,
  }
}
