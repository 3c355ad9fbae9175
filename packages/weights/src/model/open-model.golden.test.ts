import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { goldenPath, listGolden, readGoldenJson, readGoldenTensors } from '../../../../test/support/golden.js'
import { openTensors } from '../formats/open-tensors.js'
import { canonicalHuggingFaceName } from '../names/canonical-names.js'
import { checkDraftHead } from './check-draft-head.js'
import { attachFp8Scales } from './fp8-scales.js'
import { type OpenedModel, openModel } from './open-model.js'

const bytesOf = (data: ArrayBufferView) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

async function expectTensorsOf(model: OpenedModel, layers: number, folder: string, ...files: string[]) {
  const expected = new Map(files.flatMap((file) => [...readGoldenTensors(folder, file)]))
  expect(model.tensors.size).toBe(expected.size)
  for (const [name, { dtype, shape, data }] of expected) {
    const canonical = canonicalHuggingFaceName(name, layers)
    const tensor = model.tensors.get(canonical)
    expect(tensor, name).toMatchObject({ name: canonical, dtype, shape })
    expect(Buffer.compare(await tensor!.read(), bytesOf(data)), name).toBe(0)
  }
}

describe('golden models', () => {
  const folders = listGolden('models')
  it('has models', () => expect(folders.length).toBeGreaterThan(0))

  it.each(folders)('models/%s opens with all its tensors', async (name) => {
    const model = await openModel(goldenPath('models', name))
    const json = readGoldenJson('models', name, 'config.json')
    expect(model.config).toMatchObject({
      hiddenSize: json.hidden_size,
      layers: json.num_hidden_layers,
      heads: json.num_attention_heads,
      intermediateSize: json.intermediate_size,
      vocabSize: json.vocab_size,
      normEpsilon: json.rms_norm_eps,
      tiesEmbeddings: json.tie_word_embeddings,
      eosTokenIds: [json.eos_token_id].flat(),
      maxContext: json.max_position_embeddings,
    })
    const rope = json.rope_parameters ?? { rope_theta: json.rope_theta, ...json.rope_scaling }
    expect(model.config.rope.theta).toBe(rope.rope_theta)
    expect(model.config.rope.scaling.type).toBe(rope.rope_type ?? rope.type ?? 'default')
    const files = listGolden(`models/${name}`, /^model.*\.safetensors$/)
    await expectTensorsOf(model, json.num_hidden_layers, `models/${name}`, ...files)
  })

  const heads = listGolden('heads').filter((name) => existsSync(goldenPath('heads', name, 'config.json')))
  it('has heads', () => expect(heads.length).toBeGreaterThan(0))

  it.each(heads)('heads/%s opens as a head, its biases as the file has them', async (name) => {
    const head = await openModel(goldenPath('heads', name))
    const json = readGoldenJson('heads', name, 'config.json')
    expect(head.config).toMatchObject({
      architecture: 'hass-head',
      layers: json.num_hidden_layers,
      hasQueryKeyValueBias: json.qkv_bias ?? false,
      rope: { theta: json.rope_theta ?? 10_000 },
    })
    expect(head.tensors.has('fc.bias')).toBe(json.bias ?? true)
    await expectTensorsOf(head, json.num_hidden_layers, `heads/${name}`, 'model.safetensors')
  })

  it.each(heads)('heads/%s fits the target that it is named after', async (name) => {
    const targetName = folders.filter((folder) => name.startsWith(folder)).sort((a, b) => b.length - a.length)[0]!
    await checkDraftHead(await openModel(goldenPath('heads', name)), await openModel(goldenPath('models', targetName)))
  })
})

describe('golden GGUF models', () => {
  const files = Object.entries(readGoldenJson('gguf', 'models.json').models as Record<string, Record<string, string>>)

  it.each(files)('gguf/%s is the model that it was made of', async (file, types) => {
    const model = await openModel(goldenPath('gguf', file))
    const original = await openModel(goldenPath('models', file.replace(/-[^-]+\.gguf$/, '')))
    const { normEpsilon, ...config } = model.config
    expect(original.config).toMatchObject(config)
    expect(normEpsilon).toBe(Math.fround(original.config.normEpsilon))
    expect([...model.tensors.keys()].sort()).toEqual([...original.tensors.keys()].sort())
    const isExact = Object.values(types).every((type) => type === 'F32')
    for (const [name, tensor] of original.tensors) {
      const found = model.tensors.get(name)!
      expect(found.shape, name).toEqual(tensor.shape)
      if (isExact) expect(Buffer.compare(await found.read(), await tensor.read()), name).toBe(0)
      else expect(relativeError(await found.readFloat32(), await tensor.readFloat32()), name).toBeLessThan(0.1)
    }
  })

  it.each(files.map(([file]) => file))('gguf/%s dequantizes to the expected tensors, rows in order', async (file) => {
    const model = await openModel(goldenPath('gguf', file))
    const expected = [...readGoldenTensors('gguf', file.replace('.gguf', '.expected.safetensors'))]
    for (const [name, { data }] of expected.filter(([key]) => key.startsWith('dequant.'))) {
      const canonical = canonicalHuggingFaceName(name.slice('dequant.'.length), model.config.layers)
      const found = await model.tensors.get(canonical)!.readFloat32()
      expect(found.length).toBe(data.length)
      for (let i = 0; i < found.length; i++) {
        const wanted = data[i] as number
        if (!(Math.abs(found[i]! - wanted) <= 1e-6 + 1e-6 * Math.abs(wanted))) {
          expect.fail(`${canonical}[${i}] is ${found[i]}, expected ${wanted}`)
        }
      }
    }
  })

  it('has tensors to compare', () => {
    const names = files.flatMap(([file]) => [
      ...readGoldenTensors('gguf', file.replace('.gguf', '.expected.safetensors')).keys(),
    ])
    expect(names.some((name) => name.startsWith('dequant.'))).toBe(true)
  })
})

/** Root mean square of the difference, relative to that of the values: 16 levels leave a few percent. */
function relativeError(found: Float32Array, expected: Float32Array): number {
  let error = 0
  let power = 0
  for (let i = 0; i < expected.length; i++) {
    error += (found[i]! - expected[i]!) ** 2
    power += expected[i]! ** 2
  }
  return Math.sqrt(error / power)
}

describe('golden FP8', () => {
  it('multiplies each block with its scale', async () => {
    const { tensors } = await openTensors(goldenPath('fp8', 'linear_fp8.safetensors'))
    const { block } = readGoldenJson('fp8', 'linear_fp8.json')
    const expected = readGoldenTensors('fp8', 'linear_fp8_expected.safetensors').get('weight_dequant')!
    const weight = attachFp8Scales(tensors, block).get('linear.weight')!
    expect(weight.shape).toEqual(expected.shape)
    const found = await weight.readFloat32()
    for (let i = 0; i < found.length; i++) {
      const wanted = expected.data[i] as number
      if (!(Math.abs(found[i]! - wanted) <= 1e-6 + 1e-6 * Math.abs(wanted))) {
        expect.fail(`element ${i} is ${found[i]}, expected ${wanted}`)
      }
    }
  })
})
