import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { elementCount } from '@hass-engine/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildGguf, ggufFloat32, ggufString, ggufUint32 } from '../testing/build-gguf.js'
import { expectRefusal } from '../testing/expect-refusal.js'
import { openModel } from './open-model.js'

let root: string
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'hass-weights-'))
})
afterEach(() => rm(root, { recursive: true, force: true }))

describe('openModel, GGUF', () => {
  const dims: Record<string, number[]> = {
    'token_embd.weight': [8, 10],
    'output_norm.weight': [8],
    'blk.0.attn_norm.weight': [8],
    'blk.0.ffn_norm.weight': [8],
    'blk.0.attn_q.weight': [8, 8],
    'blk.0.attn_k.weight': [8, 4],
    'blk.0.attn_v.weight': [8, 4],
    'blk.0.attn_output.weight': [8, 8],
    'blk.0.ffn_gate.weight': [8, 6],
    'blk.0.ffn_up.weight': [8, 6],
    'blk.0.ffn_down.weight': [6, 8],
  }
  type Pair = readonly [string, number, ReturnType<typeof ggufUint32>]
  const counts = (architecture: string): Pair[] =>
    Object.entries({
      embedding_length: 8,
      block_count: 1,
      'attention.head_count': 2,
      'attention.head_count_kv': 1,
      feed_forward_length: 6,
      context_length: 32,
    }).map(([key, value]) => [`${architecture}.${key}`, 4, ggufUint32(value)])

  async function write(
    architecture: string,
    more: Pair[] = [],
    moreDims: Record<string, number[] | undefined> = {},
    data?: Float32Array,
  ) {
    let offset = 0
    const tensors = Object.entries({ ...dims, ...moreDims }).flatMap(([name, sizes]) => {
      if (!sizes) return []
      const tensor = { name, dims: sizes, type: 0, offset }
      offset += Math.ceil((elementCount(sizes) * 4) / 32) * 32
      return tensor
    })
    const path = join(root, 'm.gguf')
    const pairs: Pair[] = [['general.architecture', 8, ggufString(architecture)], ...counts(architecture), ...more]
    await writeFile(
      path,
      buildGguf({ pairs, tensors, data: new Uint8Array((data ?? new Float32Array(offset / 4)).buffer) }),
    )
    return path
  }

  it('undoes the pairing of query and key rows of LLaMA, and of no other', async () => {
    const total = Object.values(dims).reduce((sum, sizes) => sum + Math.ceil((elementCount(sizes) * 4) / 32) * 8, 0)
    const data = Float32Array.from({ length: total }, (_, i) => i)
    for (const [architecture, order] of [
      ['llama', [0, 2, 1, 3, 4, 6, 5, 7]],
      ['qwen2', [0, 1, 2, 3, 4, 5, 6, 7]],
    ] as const) {
      const biases: Record<string, number[]> =
        architecture === 'qwen2' ? { 'blk.0.attn_q.bias': [8], 'blk.0.attn_k.bias': [4], 'blk.0.attn_v.bias': [4] } : {}
      const path = await write(
        architecture,
        [],
        biases,
        architecture === 'llama' ? data : Float32Array.from({ length: total + 24 }, (_, i) => i),
      )
      const { tensors } = await openModel(path)
      const query = tensors.get('layers.0.self_attn.q_proj.weight')!
      expect(query.isVerbatim).toBe(architecture !== 'llama')
      const values = await query.readFloat32()
      const first = values[0]!
      expect(order.map((_, row) => (values[8 * row]! - first) / 8)).toEqual(order)
    }
  })

  it('reads configurations of all kinds', async () => {
    const { config: plain, tokenizer } = await openModel(await write('llama'))
    expect(plain).toMatchObject({ tiesEmbeddings: true, rope: { theta: 10_000, scaling: { type: 'default' } } })
    expect(tokenizer.kind).toBe('gguf')
    const scaled = (type: string): Pair[] => [
      ['llama.rope.scaling.type', 8, ggufString(type)],
      ['llama.rope.scaling.factor', 6, ggufFloat32(4)],
      ['llama.rope.scaling.original_context_length', 4, ggufUint32(16)],
      ['tokenizer.ggml.bos_token_id', 4, ggufUint32(1)],
      ['tokenizer.ggml.eos_token_id', 4, ggufUint32(2)],
      ['tokenizer.ggml.eot_token_id', 4, ggufUint32(3)],
    ]
    expect((await openModel(await write('llama', scaled('linear')))).config).toMatchObject({
      rope: { scaling: { type: 'linear', factor: 4 } },
      bosTokenId: 1,
      eosTokenIds: [2, 3],
    })
    expect((await openModel(await write('llama', scaled('yarn')))).config.rope.scaling).toEqual({
      type: 'yarn',
      factor: 4,
      originalMaxContext: 16,
      betaFast: 32,
      betaSlow: 1,
    })
    const factors = await openModel(await write('llama', [], { 'rope_freqs.weight': [2], 'output.weight': [8, 10] }))
    expect(factors.config).toMatchObject({ rope: { scaling: { type: 'factors' } }, tiesEmbeddings: false })
    expect(factors.tensors.has('rope_factors.weight')).toBe(true)
    const norms = { 'blk.0.attn_q_norm.weight': [4], 'blk.0.attn_k_norm.weight': [4] }
    expect((await openModel(await write('qwen3', [], norms))).config.hasQueryKeyNorm).toBe(true)
  })

  it.each([
    ['another architecture', 'mamba', [], {}, 'HASS_ERR_MODEL_ARCHITECTURE'],
    ['a piece of a split model', 'llama', [['split.count', 2, (w) => w.uint(3, 2)]], {}, 'HASS_ERR_MODEL_CONFIG'],
    ['heads rotated in part', 'llama', [['llama.rope.dimension_count', 4, ggufUint32(2)]], {}, 'HASS_ERR_MODEL_CONFIG'],
    ['heads of odd size', 'llama', [['llama.attention.key_length', 4, ggufUint32(3)]], {}, 'HASS_ERR_MODEL_CONFIG'],
    [
      'no embedding',
      'llama',
      [['llama.vocab_size', 4, ggufUint32(10)]],
      { 'token_embd.weight': undefined },
      'HASS_ERR_MODEL_TENSORS',
    ],
    ['unknown scaling', 'llama', [['llama.rope.scaling.type', 8, ggufString('longrope')]], {}, 'HASS_ERR_MODEL_CONFIG'],
    ['a tensor of no known name', 'llama', [], { 'blk.0.what.weight': [1] }, 'HASS_ERR_MODEL_TENSORS'],
    ['a tensor of no pattern', 'llama', [], { what: [1] }, 'HASS_ERR_MODEL_TENSORS'],
  ] as [string, string, Pair[], Record<string, number[] | undefined>, string][])(
    'refuses %s',
    async (_, architecture, pairs, more, code) => {
      await expectRefusal(openModel(await write(architecture, pairs, more)), code)
    },
  )

  it.each([513, 0])('refuses %i layers', async (layers) => {
    const path = join(root, 'm.gguf')
    const pairs: Pair[] = [
      ['general.architecture', 8, ggufString('llama')],
      ...counts('llama').filter(([key]) => key !== 'llama.block_count'),
      ['llama.block_count', 4, ggufUint32(layers)],
    ]
    await writeFile(path, buildGguf({ pairs }))
    await expectRefusal(openModel(path), 'HASS_ERR_MODEL_CONFIG')
  })
})
