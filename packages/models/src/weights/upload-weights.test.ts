import { openModel, type TensorSource } from '@hass-engine/weights'
import { describe, expect, it } from 'vitest'
import { goldenPath } from '../../../../test/support/golden.js'
import { createDraftHead } from '../create-draft-head.js'
import { createTargetModel } from '../create-target-model.js'
import { alterModel, floatTensor, integerTensor } from '../testing/altered-model.js'
import { useDevice } from '../testing/devices.js'
import { goldenHead, goldenModelOf } from '../testing/golden-names.js'
import { uploadWeights } from './upload-weights.js'

const { headName, targetName } = goldenHead()
const named = (sources: readonly TensorSource[]) => new Map(sources.map((source) => [source.name, source]))

describe('uploadWeights', () => {
  const device = useDevice('cpu')

  it('stacks what is computed together, and says what conversion lost', async () => {
    const values = Float32Array.from({ length: 64 }, (_, i) => i / 7)
    const sources = named([
      floatTensor('layers.0.self_attn.v_proj.weight', [1, 64], values),
      floatTensor('layers.0.self_attn.q_proj.weight', [2, 64], Float32Array.of(...values, ...values)),
      floatTensor('layers.0.self_attn.k_proj.weight', [1, 64], values),
      floatTensor('layers.0.self_attn.q_proj.bias', [2], Float32Array.of(1, 2)),
      floatTensor('layers.0.self_attn.k_proj.bias', [1], Float32Array.of(3)),
      floatTensor('layers.0.self_attn.v_proj.bias', [1], Float32Array.of(4)),
    ])
    const { tensors, precision } = await uploadWeights(device(), sources, { dtype: 'Q8' })
    expect([...tensors.keys()].sort()).toEqual([
      'layers.0.self_attn.qkv_proj.bias',
      'layers.0.self_attn.qkv_proj.weight',
    ])
    expect(tensors.get('layers.0.self_attn.qkv_proj.weight')).toMatchObject({ shape: [4, 64], dtype: 'Q8' })
    const bias = tensors.get('layers.0.self_attn.qkv_proj.bias')!.read(new Float32Array(4))
    expect([...bias]).toEqual([1, 2, 3, 4])
    expect(precision).toMatchObject({
      isExact: false,
      converted: [{ name: 'layers.0.self_attn.qkv_proj.weight', formats: ['F32', 'F32', 'F32'], dtype: 'Q8' }],
    })
    expect(precision.converted[0]!.maxError).toBeGreaterThan(0)
    for (const tensor of tensors.values()) tensor.dispose()
  })

  it('frees what it uploaded where a tensor cannot be read', async () => {
    const before = device().facts.memoryBytes
    const broken = Object.assign(floatTensor('layers.0.b', [1, 32], new Float32Array(32)), {
      readRange: () => Promise.reject(new Error('disk gone')),
    })
    const sources = named([floatTensor('layers.0.a', [8, 32], new Float32Array(256)), broken])
    await expect(uploadWeights(device(), sources)).rejects.toThrow('disk gone')
    expect(device().facts.memoryBytes).toBe(before)
  })

  it('leaves nothing on the device of models that fail to load', async () => {
    const before = device().facts.memoryBytes
    const opened = await openModel(goldenPath('models', targetName))
    const tooWide = alterModel(opened, [], { heads: opened.config.heads * 2, kvHeads: opened.config.kvHeads * 2 })
    await expect(createTargetModel({ device: device(), model: tooWide })).rejects.toMatchObject({
      code: 'HASS_ERR_GRAPH',
    })
    expect(device().facts.memoryBytes).toBe(before)
    const target = await createTargetModel({ device: device(), model: opened, cacheTokens: 16 })
    const loaded = device().facts.memoryBytes
    const head = await openModel(goldenPath('heads', headName))
    const unreadable = Object.assign(integerTensor('d2t', [0, 0]), {
      read: () => Promise.reject(new Error('disk gone')),
    })
    const failing = [
      alterModel(head, [], { heads: head.config.heads * 2, kvHeads: head.config.kvHeads * 2 }),
      alterModel(head, [unreadable], { draftVocabSize: 2 }),
    ]
    for (const model of failing) await expect(createDraftHead({ device: device(), target, model })).rejects.toThrow()
    expect(device().facts.memoryBytes).toBe(loaded)
    target.dispose()
    expect(device().facts.memoryBytes).toBe(before)
  })

  it('refuses architectures that are not computed', async () => {
    const model = await openModel(goldenPath('models', goldenModelOf('deepseek_v3')))
    await expect(createTargetModel({ device: device(), model })).rejects.toMatchObject({
      code: 'HASS_ERR_MODEL_UNSUPPORTED',
    })
  })
})
