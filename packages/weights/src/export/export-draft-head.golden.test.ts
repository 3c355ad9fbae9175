import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { goldenPath, listGolden, readGoldenJson } from '../../../../test/support/golden.js'
import { openTensors } from '../formats/open-tensors.js'
import { readTokenMap } from '../formats/torch/token-map.js'
import { type OpenedModel, openModel } from '../model/open-model.js'
import { expectRefusal } from '../testing/expect-refusal.js'
import { exportDraftHead } from './export-draft-head.js'
import type { ExportLayout } from './export-layout.js'

const heads = listGolden('heads', /^[^.]+$/)
const deepSeek = listGolden('models').filter((name) => {
  const { architectures, num_nextn_predict_layers } = readGoldenJson('models', name, 'config.json')
  return architectures[0] === 'DeepseekV3ForCausalLM' && num_nextn_predict_layers === 1
})

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'export-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function exported(head: string, layout: ExportLayout, tokenMap?: number[]) {
  const out = join(folder, `${head.replaceAll('/', '-')}-${layout}`)
  const result = await exportDraftHead({ head: goldenPath(head), folder: out, layout, ...(tokenMap && { tokenMap }) })
  const config = JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))
  expect((await readdir(out)).sort()).toEqual([...result.files].sort())
  return { ...result, out, config }
}

/** The bytes of two models' tensors, by canonical name. */
async function expectSameTensors(found: OpenedModel, expected: OpenedModel, names: Iterable<string>): Promise<void> {
  for (const name of names) {
    const [tensor, original] = [found.tensors.get(name), expected.tensors.get(name)]
    expect(tensor?.dtype, name).toBe(original!.dtype)
    expect(Buffer.from(await tensor!.read()).equals(await original!.read()), name).toBe(true)
  }
}

describe('golden heads are there', () => {
  it('of both kinds', () => expect([heads.length > 0, deepSeek.length > 0]).toEqual([true, true]))
})

describe.each(heads)('%s', (name) => {
  const head = `heads/${name}`
  const open = () => openModel(goldenPath(head))

  it('for SGLang has a bias of fc, its class name, and no flag that means something else there', async () => {
    const original = await open()
    const { out, config, notes } = await exported(head, 'sglang')
    const hasBiases = original.tensors.has('layers.0.self_attn.q_proj.bias')
    expect(config.architectures).toEqual([hasBiases ? 'Qwen2ForCausalLMEagle' : 'LlamaForCausalLMEagle'])
    expect(config).toMatchObject({ attention_bias: false, num_hidden_layers: 1 })
    for (const flag of ['bias', 'qkv_bias']) expect(config).not.toHaveProperty(flag)
    expect(notes).toEqual([])
    const { tensors } = await openTensors(join(out, 'model.safetensors'))
    const bias = await tensors.get('fc.bias')!.readFloat32()
    expect(bias.length).toBe(original.config.hiddenSize)
    const ownBias = original.tensors.get('fc.bias')
    expect(bias).toEqual(ownBias ? await ownBias.readFloat32() : new Float32Array(bias.length))
    expect([...tensors.keys()].filter((key) => key.startsWith('model.') || key === 'lm_head.weight')).toEqual([])
    const again = await openModel(out)
    await expectSameTensors(again, original, original.tensors.keys())
  })

  it('for the reference implementation is the same head, and says whether it has a bias', async () => {
    const original = await open()
    const { out, config } = await exported(head, 'eagle')
    expect(config.bias).toBe(original.tensors.has('fc.bias'))
    const again = await openModel(out)
    expect([...again.tensors.keys()].sort()).toEqual([...original.tensors.keys()].sort())
    await expectSameTensors(again, original, original.tensors.keys())
  })

  it('for vLLM has no bias of fc, or is refused', async () => {
    const original = await open()
    const bias = await original.tensors.get('fc.bias')?.readFloat32()
    if (bias?.some((value) => value !== 0)) {
      await expectRefusal(exported(head, 'vllm'), 'HASS_ERR_EXPORT')
      return
    }
    const { out, config, notes } = await exported(head, 'vllm')
    expect(config.architectures).toEqual(['EagleLlamaForCausalLM'])
    expect(config.qkv_bias).toBe(original.config.hasQueryKeyValueBias ? true : undefined)
    expect(notes[0]).toMatch(/chains/)
    const again = await openModel(out)
    expect(again.tensors.has('fc.bias')).toBe(false)
    await expectSameTensors(again, original, again.tensors.keys())
  })

  it('is no NextN layer', () => expectRefusal(exported(head, 'nextn'), 'HASS_ERR_EXPORT'))

  it('takes a token map along', async () => {
    const { out, tokenMap, files } = await exported(head, 'sglang', [9, 2, 5])
    expect(files).toContain(tokenMap)
    expect([...(await readTokenMap(join(out, tokenMap!)))]).toEqual([9, 2, 5])
    await expectRefusal(exported(head, 'eagle', [1]), 'HASS_ERR_EXPORT')
  })
})

describe.each(deepSeek)('%s', (name) => {
  const target = `models/${name}`

  it('gives its MTP layer as NextN', async () => {
    const original = await openModel(goldenPath(target))
    const { out, config, files } = await exported(target, 'nextn')
    expect(config).toMatchObject({ architectures: ['DeepseekV3ForCausalLMNextN'], num_hidden_layers: 1 })
    expect([...files].sort()).toEqual([
      'config.json',
      'model.safetensors.index.json',
      'nextn_layer_parameters.safetensors',
    ])
    const { tensors } = await openTensors(join(out, 'nextn_layer_parameters.safetensors'))
    const names = [...tensors.keys()]
    expect(names.every((key) => key.startsWith('model.layers.0.'))).toBe(true)
    expect(names.filter((key) => /embed_tokens|shared_head\.head/.test(key))).toEqual([])
    for (const part of ['enorm', 'hnorm', 'eh_proj', 'shared_head.norm', 'input_layernorm']) {
      expect(names).toContain(`model.layers.0.${part}.weight`)
    }
    const { weight_map } = JSON.parse(await readFile(join(out, 'model.safetensors.index.json'), 'utf8'))
    expect(Object.keys(weight_map).sort()).toEqual(names.sort())
    const again = await openModel(out)
    expect(again.config.architecture).toBe('deepseek-v3-nextn')
    await expectSameTensors(again, original, again.tensors.keys())
    // Exported once more it is what it was.
    const second = join(folder, 'again')
    await exportDraftHead({ head: out, folder: second, layout: 'nextn' })
    const file = 'nextn_layer_parameters.safetensors'
    expect((await readFile(join(second, file))).equals(await readFile(join(out, file)))).toBe(true)
  })

  it('is no head', () => expectRefusal(exported(target, 'sglang'), 'HASS_ERR_EXPORT'))
})
