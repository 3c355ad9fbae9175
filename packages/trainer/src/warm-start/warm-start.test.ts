import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chain } from '@hass-engine/draft-tree'
import type { Device } from '@hass-engine/kernels'
import { createDraftHead } from '@hass-engine/models'
import type { OpenedModel } from '@hass-engine/weights'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLocalFeatureSource } from '../corpus/local-feature-source.js'
import { type Corpus, openCorpus } from '../corpus/open-corpus.js'
import { createDataset, type Dataset } from '../dataset/dataset.js'
import { sumAcceptance } from '../evaluation/acceptance.js'
import { replayResponses } from '../evaluation/replay.js'
import { createHeadModel } from '../export/head-model.js'
import { type HeadParameters, headConfig } from '../export/head-parameters.js'
import { useDevice } from '../testing/devices.js'
import { createTinyTarget, runCorpus, type TinyTarget, tinyPrompts } from '../testing/tiny-target.js'
import { LayerActivations } from './layer-activations.js'
import { createWarmStart } from './warm-start.js'

describe('createWarmStart', () => {
  const device = useDevice('cpu')
  let folder: string
  let tiny: TinyTarget
  let corpus: Corpus
  let dataset: Dataset
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hass-warm-'))
    tiny = await createTinyTarget(device())
    const source = createLocalFeatureSource({ target: tiny.target, identity: tiny.identity })
    const shared = { folder, source, tokenizer: tiny.tokenizer, maxTokens: 60, maxTurns: 1, endTokens: [] }
    await runCorpus({ ...shared, texts: tinyPrompts(40), temperatures: [{ temperature: 1, share: 1 }] })
    corpus = await openCorpus(folder)
    dataset = createDataset({ corpus, seed: 1, noise: 0, heldOutShare: 0.2 })
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('takes the last layer, made to read features, which the final norm has scaled', async () => {
    const { parameters } = await createWarmStart({ device: device(), target: tiny.model, dataset, rows: 200 })
    const read = (name: string) => tiny.model.tensors.get(name)!.readFloat32()
    const last = `layers.${tiny.model.config.layers - 1}`
    const [finalNorm, inputNorm, innerNorm] = await Promise.all(
      ['norm', `${last}.input_layernorm`, `${last}.post_attention_layernorm`].map((name) => read(`${name}.weight`)),
    )
    const size = finalNorm!.length
    // A feature by its weights is a normed row by the final norm's and those.
    for (const name of ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj']) {
      const of = await read(`${last}.${name}.weight`)
      const found = parameters.get(`layers.0.${name}.weight`)!
      for (const [i, value] of found.entries()) {
        expect(value * finalNorm![i % size]!).toBeCloseTo(of[i]! * inputNorm![i % size]!, 5)
      }
    }
    for (const [i, value] of parameters.get('layers.0.post_attention_layernorm.weight')!.entries()) {
      expect(value * finalNorm![i]!).toBeCloseTo(innerNorm![i]!, 5)
    }
    for (const name of ['mlp.gate_proj', 'mlp.up_proj']) {
      expect(parameters.get(`layers.0.${name}.weight`)).toEqual(await read(`${last}.${name}.weight`))
    }
  })

  it('predicts the next feature, each output better than without it', async () => {
    const { parameters, rows } = await createWarmStart({ device: device(), target: tiny.model, dataset })
    expect(rows).toBeGreaterThan(1000)
    const attention = 'layers.0.self_attn.o_proj.weight'
    const mlp = 'layers.0.mlp.down_proj.weight'
    const without = (...names: string[]) =>
      new Map(
        [...parameters].map(([name, values]) => [
          name,
          names.includes(name) ? new Float32Array(values.length) : values,
        ]),
      )
    const errors: number[] = []
    for (const some of [without(attention, mlp), without(mlp), parameters]) {
      errors.push((await errorOf(device(), dataset, tiny.model, some)).error)
    }
    expect(errors[1]).toBeLessThan(errors[0]!)
    expect(errors[2]).toBeLessThan(errors[1]!)
    // On prompts that the regressions have not seen.
    const heldOut = createDataset({ corpus, seed: 1, noise: 0, heldOutShare: 0.2, split: 'held-out' })
    const { error, variance } = await errorOf(device(), heldOut, tiny.model, parameters)
    expect(error).toBeLessThan(0.7 * variance)
  })

  it('is accepted more often than weights of noise', async () => {
    const { parameters } = await createWarmStart({ device: device(), target: tiny.model, dataset, rows: 800 })
    const rates = []
    for (const some of [parameters, new Map([...parameters].map(([name, values]) => [name, scrambled(values)]))]) {
      const model = createHeadModel({ target: tiny.model, parameters: some })
      await using draft = await createDraftHead({ device: device(), target: tiny.target, model, cacheTokens: 4096 })
      const options = { corpus, sequences: dataset.corpusSequences, draft, coupled: true }
      const { accepted, drafted } = sumAcceptance(await replayResponses({ ...options, policy: chain({ depth: 1 }) }))
      rates.push(accepted / drafted)
    }
    expect(rates[0]).toBeGreaterThan(rates[1]! + 0.02)
  })

  it('takes as many rows as it is told, and no target without such a layer', async () => {
    const { rows } = await createWarmStart({ device: device(), target: tiny.model, dataset, rows: 100 })
    expect(rows).toBe(100)
    const tensors = new Map([...tiny.model.tensors].filter(([name]) => !name.endsWith('gate_proj.weight')))
    const experts = { ...tiny.model, tensors }
    const start = createWarmStart({ device: device(), target: experts, dataset, rows: 100 })
    await expect(start).rejects.toThrow(/has no tensor layers\.\d+\.mlp\.gate_proj\.weight/)
  })
})

/** Mean squares of the head's error over rows that count, and of the features around their mean. */
async function errorOf(device: Device, dataset: Dataset, target: OpenedModel, parameters: HeadParameters) {
  const size = target.config.hiddenSize
  const embeddings = await target.tensors.get('embed_tokens.weight')!.readFloat32()
  const config = headConfig(target.config, parameters)
  const { limits } = dataset
  using activations = await LayerActivations.create({ device, config, parameters, embeddings, limits })
  const mlp = parameters.get('layers.0.mlp.down_proj.weight')!
  const width = config.intermediateSize
  let [error, square, count] = [0, 0, 0]
  const mean = new Float64Array(size)
  for (let batch = 0; batch < dataset.numBatches(0); batch++) {
    const read = await dataset.readBatch({ epoch: 0, batch })
    const { residual, gated } = await activations.run(read)
    const rows = [...read.lossMask.keys()].filter((row) => read.lossMask[row])
    for (const [i, row] of rows.entries()) {
      for (let o = 0; o < size; o++) {
        let predicted = residual[i * size + o]!
        for (let k = 0; k < width; k++) predicted += mlp[o * width + k]! * gated[i * width + k]!
        const next = read.features[(row + 1) * size + o]!
        error += (predicted - next) ** 2
        square += next ** 2
        mean[o]! += next
      }
    }
    count += rows.length
  }
  return { error: error / count, variance: square / count - mean.reduce((sum, m) => sum + (m / count) ** 2, 0) }
}

/** The same values in another order. */
function scrambled(values: Float32Array): Float32Array {
  return values.map((_, i) => values[(i * 7919 + 13) % values.length]!)
}
