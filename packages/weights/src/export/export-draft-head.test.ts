import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTensors } from '../formats/open-tensors.js'
import { type WritableTensor, writeSafetensors } from '../formats/safetensors-writer.js'
import { readTokenMap } from '../formats/torch/token-map.js'
import { expectRefusal } from '../testing/expect-refusal.js'
import { exportDraftHead } from './export-draft-head.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'export-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const hidden = 4
const vocab = 6
const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: hidden,
  intermediate_size: 8,
  num_attention_heads: 2,
  num_hidden_layers: 1,
  vocab_size: vocab,
  max_position_embeddings: 16,
  rms_norm_eps: 1e-5,
  bias: false,
  extra: { kept: [1, 'x', null] },
}
const ids = BigInt64Array.of(0n, 1n, 2n)

/** A head of BF16 weights with a vocabulary of three entries, the target's 0, 2 and 4. */
async function writeHead(name: string, more: readonly WritableTensor[] = []): Promise<string> {
  const path = join(folder, name)
  await mkdir(path, { recursive: true })
  const weight = (key: string, ...shape: number[]): WritableTensor => {
    const data = new Uint8Array(2 * shape.reduce((a, b) => a * b)).fill(shape.length)
    return { name: key, dtype: 'BF16', shape, data }
  }
  await writeSafetensors(join(path, 'model.safetensors'), [
    weight('fc.weight', hidden, 2 * hidden),
    ...['q', 'k', 'v', 'o'].map((part) => weight(`layers.0.self_attn.${part}_proj.weight`, hidden, hidden)),
    weight('layers.0.mlp.gate_proj.weight', 8, hidden),
    weight('layers.0.mlp.up_proj.weight', 8, hidden),
    weight('layers.0.mlp.down_proj.weight', hidden, 8),
    weight('layers.0.post_attention_layernorm.weight', hidden),
    weight('lm_head.weight', 3, hidden),
    { name: 'd2t', dtype: 'I64', shape: [3], data: new Uint8Array(ids.buffer) },
    { name: 't2d', dtype: 'BOOL', shape: [vocab], data: Uint8Array.of(1, 0, 1, 0, 1, 0) },
    ...more,
  ])
  await writeFile(join(path, 'config.json'), JSON.stringify({ ...config, draft_vocab_size: 3 }))
  return path
}

describe('a head with a draft vocabulary', () => {
  it('gives SGLang its token map, and a zero bias in the dtype of fc', async () => {
    const out = join(folder, 'sglang')
    const { tokenMap } = await exportDraftHead({ head: await writeHead('head'), folder: out, layout: 'sglang' })
    expect([...(await readTokenMap(join(out, tokenMap!)))]).toEqual([0, 2, 4])
    const { tensors } = await openTensors(join(out, 'model.safetensors'))
    expect(tensors.get('fc.bias')).toMatchObject({ dtype: 'BF16', shape: [hidden] })
    expect([...(await tensors.get('fc.bias')!.read())]).toEqual(Array(2 * hidden).fill(0))
    for (const name of ['d2t', 't2d', 'lm_head.weight']) expect(tensors.has(name)).toBe(false)
    expect(JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))).toMatchObject({ extra: config.extra })
  })

  it('loses it for vLLM, which is said', async () => {
    const options = { head: await writeHead('head'), folder: join(folder, 'vllm'), layout: 'vllm' } as const
    expect((await exportDraftHead(options)).notes.join(' ')).toMatch(/reduced one of this head is left out/)
  })

  it('is refused by vLLM with a bias, unless that is zero', async () => {
    const bias = (value: number): WritableTensor => {
      return {
        name: 'fc.bias',
        dtype: 'F32',
        shape: [hidden],
        data: new Uint8Array(new Float32Array(hidden).fill(value).buffer),
      }
    }
    const out = join(folder, 'vllm-bias')
    await expectRefusal(
      exportDraftHead({ head: await writeHead('biased', [bias(1)]), folder: out, layout: 'vllm' }),
      'HASS_ERR_EXPORT',
    )
    await exportDraftHead({ head: await writeHead('zero', [bias(0)]), folder: out, layout: 'vllm' })
    expect((await openTensors(join(out, 'model.safetensors'))).tensors.has('fc.bias')).toBe(false)
  })
})

it('refuses what it does not know', async () => {
  const head = await writeHead('head')
  const out = { head, folder: join(folder, 'x') }
  await expectRefusal(exportDraftHead({ ...out, layout: 'tensorrt' as never }), 'HASS_ERR_INVALID_ARGUMENT')
  await expectRefusal(exportDraftHead({ ...out, layout: 'eagle', to: 1 } as never), 'HASS_ERR_INVALID_ARGUMENT')
  await expectRefusal(exportDraftHead({ ...out, head: folder, layout: 'eagle' }), 'HASS_ERR_MODEL_FILES')
})
