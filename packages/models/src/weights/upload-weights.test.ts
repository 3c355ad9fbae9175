import { createGraph } from '@hass-engine/kernels'
import { attachFp8Scales, createMemoryTensor, openModel, type TensorSource } from '@hass-engine/weights'
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

  it('keeps FP8 weights as they are, and stacks them', async () => {
    const [columns, gateRows, upRows] = [256, 130, 3]
    const fp8 = (name: string, rows: number, scales: readonly number[]) => {
      const codes = Uint8Array.from({ length: rows * columns }, (_, i) => (i * 37) & 0xff)
      const shape = [Math.ceil(rows / 128), columns / 128]
      return [
        createMemoryTensor({ name, dtype: 'F8_E4M3', shape: [rows, columns], data: codes }),
        createMemoryTensor({ name: `${name}_scale_inv`, dtype: 'F32', shape, data: Float32Array.from(scales) }),
      ]
    }
    const gate = fp8('layers.0.mlp.gate_proj.weight', gateRows, [0.5, 3, 0.1, 7])
    const sources = attachFp8Scales(named([...gate, ...fp8('layers.0.mlp.up_proj.weight', upRows, [0.3, 0.7])]))
    const { tensors, precision } = await uploadWeights(device(), sources)
    const weight = tensors.get('layers.0.mlp.gate_up_proj.weight')!
    expect(weight).toMatchObject({ shape: [gateRows + upRows, columns], dtype: 'F8' })
    expect(weight.bytes).toBeLessThan(1.2 * (gateRows + upRows) * columns)
    expect(precision.isExact).toBe(true)

    const g = createGraph('rows')
    const tokens = g.input('tokens', 'U32', [g.dimension('rows', gateRows + upRows)])
    g.output('y', g.embedding(tokens, g.weight('weight', 'F8', weight.shape)))
    const program = device().compile(g, { bindings: { weight } })
    const all = Uint32Array.from({ length: gateRows + upRows }, (_, row) => row)
    const found = (await program.run({ inputs: { tokens: all } })).y!.readAll()
    const parts = await Promise.all([...sources.values()].map((source) => source.readFloat32()))
    expect([...found]).toEqual(parts.flatMap((part) => [...part]))
    weight.dispose()
  })

  it('widens FP8 weights whose rows are no whole blocks', async () => {
    const data = new Uint8Array(2 * 96).fill(0x38)
    const scales = { name: 'layers.0.a_scale_inv', dtype: 'F32', shape: [1, 1], data: Float32Array.of(2) } as const
    const codes = createMemoryTensor({ name: 'layers.0.a', dtype: 'F8_E4M3', shape: [2, 96], data })
    const { tensors } = await uploadWeights(device(), attachFp8Scales(named([codes, createMemoryTensor(scales)])))
    expect(tensors.get('layers.0.a')).toMatchObject({ dtype: 'F32' })
    tensors.get('layers.0.a')!.dispose()
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
