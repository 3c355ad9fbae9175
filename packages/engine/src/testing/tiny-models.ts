import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Token } from '@hass-engine/core'
import { createNoiseField } from '@hass-engine/core'
import { type Device, type DeviceKind, openDevice } from '@hass-engine/kernels'
import { createDraftHead, createTargetModel, type DeviceDraftHead, type DeviceTargetModel } from '@hass-engine/models'
import { type OpenedModel, openModel, type TensorSource } from '@hass-engine/weights'
import { goldenPath, listGolden, readGoldenJson } from '../../../../test/support/golden.js'
import { alterModel, floatTensor } from '../../../models/src/testing/altered-model.js'
import { tinyTokenizerFiles } from './tiny-tokenizer.js'

/** Golden heads; each stands for its target too. */
export const goldenHeads = listGolden('heads').filter((name) => !name.includes('.'))

/** What a head's own weights are filled with, the golden ones left alone. */
export type HeadKind = 'golden' | 'random' | 'zero' | 'nan'

export interface TinyPlace {
  readonly kind: DeviceKind
  readonly threads: number
  /** One of `goldenHeads`. */
  readonly head: string
  /** Rows of the caches. */
  readonly cacheTokens: number
}

export function targetOf(head: string): string {
  return readGoldenJson('heads', head, 'golden.json').target
}

export function endIdsOf(target: string): Token[] {
  return [readGoldenJson('models', target, 'config.json').eos_token_id].flat()
}

export function vocabSizeOf(target: string): number {
  return readGoldenJson('models', target, 'config.json').vocab_size
}

/** Golden models on devices, each loaded once. */
export class TinyModels {
  readonly #loaded = new Map<string, Promise<{ dispose(): void }>>()

  device({ kind, threads }: Pick<TinyPlace, 'kind' | 'threads'>): Promise<Device> {
    return this.#once(`device ${kind} ${threads}`, async () =>
      openDevice(kind === 'cpu' ? { kind, threads } : { kind }),
    )
  }

  target(place: TinyPlace): Promise<DeviceTargetModel> {
    const { kind, threads, head, cacheTokens } = place
    const name = targetOf(head)
    return this.#once(`target ${kind} ${threads} ${name} ${cacheTokens}`, async () => {
      const model = await openModel(goldenPath('models', name))
      return createTargetModel({ device: await this.device(place), model, cacheTokens })
    })
  }

  draft(place: TinyPlace, headKind: HeadKind): Promise<DeviceDraftHead> {
    const { kind, threads, head, cacheTokens } = place
    return this.#once(`head ${kind} ${threads} ${head} ${cacheTokens} ${headKind}`, async () => {
      const model = await alterHead(await openModel(goldenPath('heads', head)), headKind)
      return createDraftHead({
        device: await this.device(place),
        target: await this.target(place),
        model,
        // Golden heads as their files have them, the others as heads are kept by default.
        ...(headKind === 'golden' && { weightDtype: 'file' }),
      })
    })
  }

  async dispose(): Promise<void> {
    const loaded = await Promise.all(this.#loaded.values())
    for (const one of loaded.reverse()) one.dispose()
  }

  #once<Loaded extends { dispose(): void }>(key: string, load: () => Promise<Loaded>): Promise<Loaded> {
    if (!this.#loaded.has(key)) this.#loaded.set(key, load())
    return this.#loaded.get(key) as Promise<Loaded>
  }
}

/** A head whose every weight of its own is another: a wrong head may cost speed and nothing else. */
async function alterHead(model: OpenedModel, kind: HeadKind): Promise<OpenedModel> {
  if (kind === 'golden') return model
  const noise = createNoiseField(17)
  const fill = (index: number) => (i: number) =>
    ({ random: noise.uniform(i, index) - 0.5, zero: 0, nan: Number.NaN })[kind]
  const own = [...model.tensors.values()].filter(({ dtype }) => ['F32', 'F16', 'BF16'].includes(dtype))
  const altered = await Promise.all(
    own.map(async (tensor: TensorSource, index) => {
      const count = tensor.shape.reduce((product, extent) => product * extent, 1)
      const value = fill(index)
      return floatTensor(
        tensor.name,
        tensor.shape,
        Float32Array.from({ length: count }, (_, i) => value(i)),
      )
    }),
  )
  return alterModel(model, altered)
}

/** A copy of a golden target's folder with a vocabulary, as a published model has one; `dispose` removes it. */
export async function createModelFolder(target: string): Promise<{ path: string; dispose(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'hass-engine-model-'))
  await cp(goldenPath('models', target), path, { recursive: true })
  const { tokenizer, tokenizerConfig } = tinyTokenizerFiles(vocabSizeOf(target), endIdsOf(target))
  await writeFile(join(path, 'tokenizer.json'), JSON.stringify(tokenizer))
  await writeFile(join(path, 'tokenizer_config.json'), JSON.stringify(tokenizerConfig))
  return { path, dispose: () => rm(path, { recursive: true, force: true }) }
}
