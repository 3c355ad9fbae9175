import { availableParallelism } from 'node:os'
import { type Device, openDevice } from '@hass-engine/kernels'
import { modelPath } from '@hass-engine/smollm2-135m-instruct'
import { createTokenizerFromGguf, loadTokenizer, type Tokenizer } from '@hass-engine/tokenizer'
import { type OpenedModel, openModel } from '@hass-engine/weights'
import type { ModelFlags } from './options.js'

/** A target as the trainer's commands take it: not loaded, for they decide how. */
export interface OpenedTarget extends AsyncDisposable {
  readonly model: OpenedModel
  readonly tokenizer: Tokenizer
  readonly device: Device
}

export async function openTarget(flags: Pick<ModelFlags, 'model' | 'threads' | 'device'>): Promise<OpenedTarget> {
  const model = await openModel(flags.model ?? modelPath)
  const options = { embeddingRows: model.config.vocabSize }
  const tokenizer =
    model.tokenizer.kind === 'gguf'
      ? await createTokenizerFromGguf(model.tokenizer.metadata, options)
      : await loadTokenizer(model.tokenizer.folder, options)
  const device = openDevice({
    kind: flags.device ?? 'auto',
    threads: flags.threads ?? Math.min(availableParallelism(), 64),
  })
  return { model, tokenizer, device, [Symbol.asyncDispose]: async () => device.dispose() }
}
