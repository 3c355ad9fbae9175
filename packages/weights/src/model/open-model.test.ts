import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DType } from '@hass-engine/core'
import { dtypeSize, elementCount } from '@hass-engine/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ModelConfig } from '../config/model-config.js'
import { writeSafetensors, writeShardedSafetensors } from '../formats/safetensors-writer.js'
import { buildSafetensors } from '../testing/build-safetensors.js'
import { buildTorch, PickleWriter } from '../testing/build-torch.js'
import { expectRefusal } from '../testing/expect-refusal.js'
import { checkDraftHead } from './check-draft-head.js'
import { openModel } from './open-model.js'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hass-weights-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

type Shapes = Record<string, readonly number[]>
type Json = Record<string, unknown>

const zeros = (name: string, shape: readonly number[], dtype: DType = 'F32') => ({
  name,
  dtype,
  shape,
  data: new Uint8Array(elementCount(shape) * dtypeSize(dtype)),
})

async function writeModel(name: string, config: Json, shapes: Shapes, dtypes: Record<string, DType> = {}) {
  const folder = join(root, name)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  const tensors = Object.entries(shapes).map(([key, shape]) => zeros(key, shape, dtypes[key]))
  await writeSafetensors(join(folder, 'model.safetensors'), tensors)
  return folder
}

const config: Json = {
  architectures: ['LlamaForCausalLM'],
  hidden_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  intermediate_size: 6,
  vocab_size: 10,
  max_position_embeddings: 32,
}
const layer = (prefix: string): Shapes => ({
  [`${prefix}.self_attn.q_proj.weight`]: [8, 8],
  [`${prefix}.self_attn.k_proj.weight`]: [4, 8],
  [`${prefix}.self_attn.v_proj.weight`]: [4, 8],
  [`${prefix}.self_attn.o_proj.weight`]: [8, 8],
  [`${prefix}.mlp.gate_proj.weight`]: [6, 8],
  [`${prefix}.mlp.up_proj.weight`]: [6, 8],
  [`${prefix}.mlp.down_proj.weight`]: [8, 6],
  [`${prefix}.post_attention_layernorm.weight`]: [8],
})
const llama: Shapes = {
  'model.embed_tokens.weight': [10, 8],
  'model.norm.weight': [8],
  'lm_head.weight': [10, 8],
  'model.layers.0.input_layernorm.weight': [8],
  ...layer('model.layers.0'),
}
const head: Shapes = { 'fc.weight': [8, 16], ...layer('layers.0') }

describe('openModel', () => {
  it('opens a folder by canonical names', async () => {
    const model = await openModel(await writeModel('m', config, llama))
    expect([...model.tensors.keys()].sort()).toEqual(
      Object.keys(llama)
        .map((name) => name.replace('model.', ''))
        .sort(),
    )
    expect(model.config).toEqual({
      architecture: 'llama',
      hiddenSize: 8,
      layers: 1,
      heads: 2,
      kvHeads: 1,
      headSize: 4,
      intermediateSize: 6,
      vocabSize: 10,
      normEpsilon: 1e-6,
      rope: { theta: 10_000, scaling: { type: 'default' } },
      tiesEmbeddings: false,
      hasQueryKeyValueBias: false,
      hasOutputBias: false,
      hasMlpBias: false,
      hasQueryKeyNorm: false,
      eosTokenIds: [],
      maxContext: 32,
      mtpLayers: 0,
      fp8BlockShape: [128, 128],
    } satisfies ModelConfig)
  })

  it('knows tokenizer files and the ends that only the generation configuration names', async () => {
    const folder = await writeModel('m', { ...config, eos_token_id: 2, bos_token_id: 1 }, llama)
    await writeFile(join(folder, 'tokenizer.json'), '{}')
    await writeFile(join(folder, 'generation_config.json'), '{"eos_token_id":[3,2,"x",-1]}')
    const model = await openModel(folder)
    expect(model.config).toMatchObject({ eosTokenIds: [2, 3], bosTokenId: 1 })
    await writeFile(join(folder, 'generation_config.json'), '{"eos_token_id":4}')
    expect((await openModel(folder)).config.eosTokenIds).toEqual([2, 4])
    expect(model.tokenizer).toEqual({
      kind: 'folder',
      folder,
      files: new Map([['tokenizer.json', join(folder, 'tokenizer.json')]]),
    })
  })

  it('drops what follows from the configuration', async () => {
    const shapes = { ...llama, 'model.layers.0.self_attn.rotary_emb.inv_freq': [2] }
    const model = await openModel(await writeModel('m', { ...config, tie_word_embeddings: true }, shapes))
    expect(model.tensors.has('lm_head.weight')).toBe(false)
    expect(model.tensors.size).toBe(Object.keys(llama).length - 1)
  })

  it('opens sharded weights, and biases everywhere', async () => {
    const folder = await writeModel('m', { ...config, attention_bias: true, mlp_bias: true }, {})
    const biases = { q_proj: 8, k_proj: 4, v_proj: 4, o_proj: 8 }
    const shapes: Shapes = {
      ...llama,
      ...Object.fromEntries(
        Object.entries(biases).map(([name, size]) => [`model.layers.0.self_attn.${name}.bias`, [size]]),
      ),
      'model.layers.0.mlp.gate_proj.bias': [6],
      'model.layers.0.mlp.up_proj.bias': [6],
      'model.layers.0.mlp.down_proj.bias': [8],
    }
    const tensors = Object.entries(shapes).map(([name, shape]) => zeros(name, shape))
    await writeShardedSafetensors(folder, tensors, { maxShardBytes: 500 })
    const model = await openModel(folder)
    expect(model.tensors.size).toBe(tensors.length)
    expect(model.config).toMatchObject({ hasQueryKeyValueBias: true, hasOutputBias: true, hasMlpBias: true })
  })

  it('names what is missing, left over, or of another shape', async () => {
    const { 'model.norm.weight': _, ...shapes } = llama
    const folder = await writeModel('m', config, {
      ...shapes,
      'model.layers.0.mlp.gate_proj.weight': [6, 7],
      extra: [1],
    })
    const error = await expectRefusal(openModel(folder), 'HASS_ERR_MODEL_TENSORS')
    expect(error.details.findings).toEqual([
      'tensor norm.weight [8] is missing',
      'tensor layers.0.mlp.gate_proj.weight is [6,7], expected [6,8]',
    ])
    const extra = await expectRefusal(openModel(await writeModel('n', config, { ...llama, extra: [1] })))
    expect(extra.details.findings).toEqual(['tensor "extra" [1] is none of that architecture'])
    const integers = await writeModel('o', config, llama, { 'model.norm.weight': 'I32' })
    expect((await expectRefusal(openModel(integers), 'HASS_ERR_MODEL_TENSORS')).message).toMatch(/holds I32/)
    const other = await writeModel('p', config, { ...llama, 'norm.weight': [8] })
    await expectRefusal(openModel(other), 'HASS_ERR_DUPLICATE_NAME')
  })

  it('refuses a configuration of millions of tensors as soon as some are missing', async () => {
    const many = { ...config, num_hidden_layers: 512 }
    const error = await expectRefusal(openModel(await writeModel('m', many, llama)), 'HASS_ERR_MODEL_TENSORS')
    expect(error.details.findings).toHaveLength(8)
  })

  it('refuses folders that hold no model', async () => {
    await expectRefusal(openModel(join(root, 'missing')), 'HASS_ERR_MODEL_FILES')
    await expectRefusal(openModel(root), 'HASS_ERR_MODEL_FILES')
    const folder = await writeModel('m', config, llama)
    await rm(join(folder, 'config.json'))
    expect((await expectRefusal(openModel(folder), 'HASS_ERR_MODEL_FILES')).message).toMatch(/config\.json/)
    await writeFile(join(folder, 'config.json'), '[]')
    await expectRefusal(openModel(folder), 'HASS_ERR_JSON')
    await truncate(join(folder, 'config.json'), 5e6)
    await expectRefusal(openModel(folder), 'HASS_ERR_JSON')
  })

  it('opens a hundred gigabytes by their header', async () => {
    const gigabytes = 100
    const rows = (gigabytes * 1e9) / (8 * 8)
    const header: Json = {}
    let at = 0
    for (const [name, shape] of Object.entries({
      ...llama,
      'model.embed_tokens.weight': [rows, 8],
      'lm_head.weight': [10, 8],
    })) {
      const dtype = name === 'model.embed_tokens.weight' ? 'F64' : 'F32'
      const length = elementCount(shape) * dtypeSize(dtype)
      header[name] = { dtype, shape, data_offsets: [at, at + length] }
      at += length
    }
    const tied = { ...config, vocab_size: rows, tie_word_embeddings: true }
    const folder = await writeModel('m', tied, {})
    const path = join(folder, 'model.safetensors')
    const bytes = buildSafetensors(header)
    await writeFile(path, bytes)
    await truncate(path, bytes.length + at)
    const before = process.memoryUsage()
    const model = await openModel(folder)
    const after = process.memoryUsage()
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(2 ** 20)
    expect(model.tensors.get('embed_tokens.weight')!.byteLength).toBe(gigabytes * 1e9)
    // What lies behind is read from beyond 2^32, where an offset of 32 bits would wrap.
    const norm = model.tensors.get('norm.weight')!
    expect(norm.offset).toBeGreaterThan(gigabytes * 1e9)
    expect([...(await norm.readFloat32())]).toEqual(Array(8).fill(0))
    await expectRefusal(model.tensors.get('embed_tokens.weight')!.read(), 'HASS_ERR_OUT_OF_MEMORY')
    await expectRefusal(norm.readInto(new Uint8Array(31)), 'HASS_ERR_INVALID_ARGUMENT')
  })
})

describe('openModel, DeepSeek-V3', () => {
  const deepseek: Json = {
    ...config,
    architectures: ['DeepseekV3ForCausalLM'],
    num_key_value_heads: 2,
    kv_lora_rank: 4,
    qk_nope_head_dim: 2,
    qk_rope_head_dim: 2,
    v_head_dim: 2,
    num_nextn_predict_layers: 1,
  }
  const latent = (prefix: string): Shapes => ({
    [`${prefix}.self_attn.q_proj.weight`]: [8, 8],
    [`${prefix}.self_attn.kv_a_proj_with_mqa.weight`]: [6, 8],
    [`${prefix}.self_attn.kv_a_layernorm.weight`]: [4],
    [`${prefix}.self_attn.kv_b_proj.weight`]: [8, 4],
    [`${prefix}.self_attn.o_proj.weight`]: [8, 4],
    [`${prefix}.mlp.gate_proj.weight`]: [6, 8],
    [`${prefix}.mlp.up_proj.weight`]: [6, 8],
    [`${prefix}.mlp.down_proj.weight`]: [8, 6],
    [`${prefix}.input_layernorm.weight`]: [8],
    [`${prefix}.post_attention_layernorm.weight`]: [8],
  })
  const mtp = (prefix: string): Shapes => ({
    ...latent(prefix),
    [`${prefix}.enorm.weight`]: [8],
    [`${prefix}.hnorm.weight`]: [8],
    [`${prefix}.eh_proj.weight`]: [8, 16],
    [`${prefix}.shared_head.norm.weight`]: [8],
  })
  const main: Shapes = {
    'model.embed_tokens.weight': [10, 8],
    'model.norm.weight': [8],
    'lm_head.weight': [10, 8],
    ...latent('model.layers.0'),
  }
  const nextn = { ...deepseek, architectures: ['DeepseekV3ForCausalLMNextN'] }

  it('opens with and without its MTP layer', async () => {
    const without = await openModel(await writeModel('m', deepseek, main))
    expect(without.config).toMatchObject({ architecture: 'deepseek-v3', mtpLayers: 0, headSize: 4 })
    const withIt = await openModel(await writeModel('n', deepseek, { ...main, ...mtp('model.layers.1') }))
    expect(withIt.config.mtpLayers).toBe(1)
    expect(withIt.tensors.get('mtp.0.eh_proj.weight')!.shape).toEqual([8, 16])
  })

  it('joins FP8 weights with their scales, by the block shape of the configuration', async () => {
    const name = 'model.layers.0.mlp.gate_proj.weight'
    const quantized = { ...deepseek, quantization_config: { weight_block_size: [4, 4] } }
    const shapes = { ...main, [name]: [6, 8], [`${name}_scale_inv`]: [2, 2] }
    const model = await openModel(await writeModel('m', quantized, shapes, { [name]: 'F8_E4M3' }))
    const tensor = model.tensors.get('layers.0.mlp.gate_proj.weight')!
    expect(tensor.quantization).toMatchObject({ format: 'fp8-blocks', blockShape: [4, 4] })
    expect(await tensor.readFloat32()).toEqual(new Float32Array(48))
    const refused: [shapes: Shapes, dtypes: Record<string, DType>][] = [
      [main, { [name]: 'F8_E4M3' }],
      [{ ...main, [`${name}_scale_inv`]: [2, 2] }, {}],
      [{ ...main, 'model.none.weight_scale_inv': [2, 2] }, {}],
      [{ ...main, [`${name}_scale_inv`]: [2, 3] }, { [name]: 'F8_E4M3' }],
      [{ ...main, [`${name}_scale_inv`]: [4] }, { [name]: 'F8_E4M3' }],
      [
        { ...main, [`${name}_scale_inv`]: [2, 2] },
        { [name]: 'F8_E4M3', [`${name}_scale_inv`]: 'U8' },
      ],
      [{ ...main, 'model.norm.weight': [8] }, { 'model.norm.weight': 'F8_E4M3' }],
      [{ ...main, 'model.norm.weight': [8, 1, 1] }, { 'model.norm.weight': 'F8_E4M3' }],
    ]
    for (const [index, [wrong, dtypes]] of refused.entries()) {
      const folder = await writeModel(`x${index}`, quantized, wrong, dtypes)
      await expectRefusal(openModel(folder), 'HASS_ERR_QUANTIZATION')
    }
  })

  it('opens a NextN head of its own, which fits its target', async () => {
    const target = await openModel(await writeModel('m', deepseek, main))
    const model = await openModel(await writeModel('n', nextn, mtp('model.layers.0')))
    expect(model.config).toMatchObject({ architecture: 'deepseek-v3-nextn', layers: 0, mtpLayers: 1 })
    expect(model.tensors.has('mtp.0.enorm.weight')).toBe(true)
    await checkDraftHead(model, target)
    const other = await openModel(await writeModel('o', config, { ...llama }))
    await checkDraftHead(model, other)
    const wide = await openModel(
      await writeModel(
        'p',
        { ...nextn, vocab_size: 11 },
        { ...mtp('model.layers.0'), 'model.layers.0.embed_tokens.weight': [11, 8] },
      ),
    )
    expect((await expectRefusal(checkDraftHead(wide, target), 'HASS_ERR_DRAFT_MISMATCH')).details.tensor).toBe(
      'mtp.0.embed_tokens.weight',
    )
  })

  it('has experts behind the dense layers', async () => {
    const experts = {
      n_routed_experts: 2,
      num_experts_per_tok: 1,
      moe_intermediate_size: 3,
      first_k_dense_replace: 1,
      n_group: 2,
    }
    const moe: Json = { ...deepseek, ...experts, topk_method: 'greedy' }
    const mlp = (prefix: string): Shapes => ({
      [`${prefix}.gate_proj.weight`]: [3, 8],
      [`${prefix}.up_proj.weight`]: [3, 8],
      [`${prefix}.down_proj.weight`]: [8, 3],
    })
    const {
      'model.layers.1.mlp.gate_proj.weight': a,
      'model.layers.1.mlp.up_proj.weight': b,
      'model.layers.1.mlp.down_proj.weight': c,
      ...rest
    } = mtp('model.layers.1')
    const shapes = {
      ...main,
      ...rest,
      'model.layers.1.mlp.gate.weight': [2, 8],
      ...mlp('model.layers.1.mlp.experts.0'),
      ...mlp('model.layers.1.mlp.experts.1'),
    }
    const model = await openModel(await writeModel('m', moe, shapes))
    expect(model.config.experts).toMatchObject({ experts: 2, sharedExperts: 0, hasChoiceBias: false, denseLayers: 1 })
  })
})

describe('draft heads', () => {
  it('opens a head by what its files hold', async () => {
    const biases = {
      'layers.0.self_attn.q_proj.bias': [8],
      'layers.0.self_attn.k_proj.bias': [4],
      'layers.0.self_attn.v_proj.bias': [4],
    }
    const shapes = { ...head, 'fc.bias': [8], ...biases }
    const model = await openModel(await writeModel('h', { ...config, bias: false }, shapes))
    expect(model.config).toMatchObject({ architecture: 'hass-head', hasQueryKeyValueBias: true })
    expect(model.tensors.has('fc.bias')).toBe(true)
  })

  it('opens a head of several layers', async () => {
    const shapes = { ...head, ...layer('layers.1'), 'layers.1.input_layernorm.weight': [8] }
    const model = await openModel(await writeModel('h', { ...config, num_hidden_layers: 2 }, shapes))
    expect(model.config.layers).toBe(2)
  })

  it('opens a head that torch.save wrote', async () => {
    const folder = await writeModel('h', config, {})
    await rm(join(folder, 'model.safetensors'))
    const pickle = new PickleWriter().proto().op('EMPTY_DICT').op('MARK')
    const storages: Record<string, Uint8Array> = {}
    for (const [name, shape] of Object.entries(head)) {
      const elements = elementCount(shape)
      storages[name] = new Uint8Array(4 * elements)
      pickle.string(name).tensor({ key: name, elements, shape, strides: shape.length === 2 ? [shape[1]!, 1] : [1] })
    }
    const bytes = buildTorch(pickle.op('SETITEMS').op('STOP').toBytes(), storages)
    await writeFile(join(folder, 'pytorch_model.bin'), bytes)
    expect((await openModel(folder)).tensors.size).toBe(Object.keys(head).length)
  })

  const targetOf = async (more: Json = {}, shapes = llama) =>
    openModel(await writeModel('target', { ...config, ...more }, shapes))

  it('refuses a head for another target, naming tensor, found and expected', async () => {
    const wide = Object.fromEntries(
      Object.entries(llama).map(([name, shape]) => [name, shape.map((size) => (size === 8 ? 16 : size))]),
    )
    const target = await targetOf({ hidden_size: 16, num_attention_heads: 4 }, wide)
    const model = await openModel(await writeModel('h', config, head))
    const error = await expectRefusal(checkDraftHead(model, target), 'HASS_ERR_DRAFT_MISMATCH')
    expect(error.message).toBe(
      'Tensor `fc.weight` of the draft head is [8,16], expected [16,32]: this is not a HASS head for a target of hidden size 16 and vocabulary 10.',
    )
    expect(error.details).toMatchObject({ tensor: 'fc.weight', found: '[8,16]', expected: '[16,32]' })
  })

  it('refuses another vocabulary, by tensor or by configuration', async () => {
    const target = await targetOf()
    const eleven = { ...config, vocab_size: 11 }
    const byTensor = await openModel(await writeModel('h', eleven, { ...head, 'embed_tokens.weight': [11, 8] }))
    expect((await expectRefusal(checkDraftHead(byTensor, target), 'HASS_ERR_DRAFT_MISMATCH')).details.tensor).toBe(
      'embed_tokens.weight',
    )
    const byConfig = await openModel(await writeModel('i', eleven, head))
    expect((await expectRefusal(checkDraftHead(byConfig, target), 'HASS_ERR_DRAFT_MISMATCH')).message).toMatch(
      /^config\.json of the draft head is vocab_size 11, expected 10/,
    )
    await expectRefusal(checkDraftHead(target, target), 'HASS_ERR_DRAFT_MISMATCH')
  })

  it('checks a draft vocabulary against the target', async () => {
    const target = await targetOf()
    const shapes = { ...head, d2t: [3], t2d: [10], 'lm_head.weight': [3, 8] }
    const write = async (name: string, dtype: DType, offsets: ArrayBufferView) => {
      const folder = await writeModel(name, { ...config, draft_vocab_size: 3 }, {})
      const tensors = Object.entries(shapes).map(([key, shape]) => zeros(key, shape, key === 't2d' ? 'BOOL' : 'F32'))
      const data = new Uint8Array(offsets.buffer)
      const d2t = { name: 'd2t', dtype, shape: [3], data }
      await writeSafetensors(join(folder, 'model.safetensors'), [
        ...tensors.filter(({ name: key }) => key !== 'd2t'),
        d2t,
      ])
      return openModel(folder)
    }
    const good = await write('a', 'I64', BigInt64Array.of(0n, 3n, 7n))
    expect(good.config.draftVocabSize).toBe(3)
    await checkDraftHead(good, target)
    await checkDraftHead(await write('b', 'I32', Int32Array.of(0, 3, 7)), target)
    for (const offsets of [
      BigInt64Array.of(0n, 3n, 8n),
      BigInt64Array.of(-1n, 0n, 0n),
      BigInt64Array.of(2n ** 62n, 0n, 0n),
    ]) {
      const bad = await write('c', 'I64', offsets)
      expect((await expectRefusal(checkDraftHead(bad, target), 'HASS_ERR_DRAFT_MISMATCH')).details.tensor).toBe('d2t')
    }
    expect((await expectRefusal(write('d', 'F32', new Float32Array(3)), 'HASS_ERR_MODEL_TENSORS')).message).toMatch(
      /expected ids/,
    )
  })
})
