import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bf16ToFloat, createNoiseField, f16ToFloat, floatToBf16, floatToF16 } from '@hass-engine/core'
import { createDraftHead } from '@hass-engine/models'
import { type OpenedModel, openModel } from '@hass-engine/weights'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { deviceKinds, useDevice } from '../testing/devices.js'
import { createTinyTarget, type TinyTarget } from '../testing/tiny-target.js'
import { headShapes } from '../training-head.js'
import { exportHead } from './export-head.js'
import { createHeadModel, vocabularyTensors } from './head-model.js'
import { type HeadParameters, headConfig, shapeHeadParameters } from './head-parameters.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-export-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Parameters of noise, scaled to keep features in bounds. */
function randomParameters(target: OpenedModel, hasBias: boolean): HeadParameters {
  const noise = createNoiseField(9)
  const config = headConfig(target.config, new Map())
  const shapes = [...headShapes(config, (name) => hasBias && /^fc|[qkv]_proj/.test(name))]
  return new Map(
    shapes.map(([name, shape], index) => {
      const count = shape.reduce((product, extent) => product * extent, 1)
      const values = Float32Array.from({ length: count }, (_, i) => (noise.uniform(i, index) - 0.5) * 0.3)
      return [name, name.includes('norm') ? values.map((value) => 1 + value) : values]
    }),
  )
}

describe.each(deviceKinds)('exportHead and createHeadModel on %s', (kind) => {
  const device = useDevice(kind)
  let tiny: TinyTarget
  beforeAll(async () => {
    tiny = await createTinyTarget(device())
  })

  /** What a head proposes in a cycle of two levels, plain and coupled. */
  async function candidatesOf(model: OpenedModel) {
    await using head = await createDraftHead({ device: device(), target: tiny.target, model })
    const noise = createNoiseField(4)
    const { hiddenSize, vocabSize } = tiny.identity
    const features = { rows: 6, hiddenSize, read: (row: number) => rowOf(noise, row, hiddenSize) }
    const proposed = []
    for (const coupling of [undefined, { temperature: 0.8, seed: 5n }]) {
      const sequence = head.createSequence()
      const context = {
        sequence,
        tokens: Uint32Array.from({ length: 6 }, (_, i) => (i * 37) % vocabSize),
        features,
        featureRows: [0, 1, 2, 3, 4, 5],
        width: 4,
        ...(coupling && { coupling }),
      }
      const [first] = await head.begin([context])
      const frontier = { tokens: first!.tokens.slice(0, 3), parents: Uint32Array.of(0, 0, 0) }
      proposed.push(first, ...(await head.extend([{ sequence, frontier }])))
    }
    return proposed
  }

  it.each([
    ['whole vocabulary, no biases', false, undefined],
    ['draft vocabulary and biases', true, Uint32Array.of(2, 5, 6, 100, 101, 400)],
  ] as const)('gives the same candidates to the bit: %s', async (_, hasBias, draftVocabulary) => {
    const parameters = randomParameters(tiny.model, hasBias)
    const options = { target: tiny.model, parameters, ...(draftVocabulary && { draftVocabulary }) }
    const before = await candidatesOf(createHeadModel(options))
    await exportHead({ ...options, folder })
    const read = await openModel(folder)
    expect(await candidatesOf(read)).toEqual(before)
    if (draftVocabulary) {
      for (const { tokens } of before as { tokens: Uint32Array }[]) {
        for (const token of tokens) expect([0, ...draftVocabulary]).toContain(token)
      }
    }
    for (const [name, values] of parameters) {
      expect(await read.tensors.get(name)!.readFloat32()).toEqual(values)
    }
  })
})

describe('exportHead', () => {
  const device = useDevice('reference')
  let tiny: TinyTarget
  let parameters: HeadParameters
  beforeAll(async () => {
    tiny = await createTinyTarget(device())
    parameters = randomParameters(tiny.model, true)
  })

  it('writes the published layout', async () => {
    const draftVocabulary = Uint32Array.of(3, 4, 9)
    await exportHead({ folder, target: tiny.model, parameters, draftVocabulary, metadata: { note: 'x' } })
    expect(await readdir(folder)).toEqual(['config.json', 'model.safetensors'])
    const json = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))
    const { hiddenSize, heads, kvHeads, vocabSize, rope } = tiny.model.config
    expect(json).toMatchObject({
      architectures: ['LlamaForCausalLM'],
      model_type: 'llama',
      bias: true,
      qkv_bias: true,
      hidden_size: hiddenSize,
      num_hidden_layers: 1,
      num_attention_heads: heads,
      num_key_value_heads: kvHeads,
      vocab_size: vocabSize,
      draft_vocab_size: 3,
      rope_theta: rope.theta,
    })
    const read = await openModel(folder)
    expect(read.config).toMatchObject({
      ...headConfig(tiny.model.config, parameters, 3),
      eosTokenIds: expect.anything(),
    })
    const offsets = await read.tensors.get('d2t')!.read()
    expect([...new BigInt64Array(offsets.buffer)]).toEqual([3n, 3n, 7n])
    const mask = await read.tensors.get('t2d')!.read()
    expect([...mask.keys()].filter((id) => mask[id])).toEqual([3, 4, 9])
    const plain = new Map([...parameters].filter(([name]) => !name.endsWith('bias')))
    await exportHead({ folder, target: tiny.model, parameters: plain })
    expect(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))).toMatchObject({
      bias: false,
      qkv_bias: false,
    })
    expect((await openModel(folder)).tensors.has('d2t')).toBe(false)
  })

  it.each([
    ['F16', (value: number) => f16ToFloat(floatToF16(value))],
    ['BF16', (value: number) => bf16ToFloat(floatToBf16(value))],
  ] as const)('rounds to %s', async (dtype, round) => {
    await exportHead({ folder, target: tiny.model, parameters, dtype })
    const read = await openModel(folder)
    for (const [name, values] of parameters) {
      expect(read.tensors.get(name)!.dtype).toBe(dtype)
      expect(await read.tensors.get(name)!.readFloat32()).toEqual(values.map(round))
    }
  })

  it('refuses what is no head, and writes nothing', async () => {
    const changed = (name: string, values?: Float32Array) => {
      const copy = new Map(parameters)
      if (values) copy.set(name, values)
      else copy.delete(name)
      return exportHead({ folder, target: tiny.model, parameters: copy, dtype: 'F16' })
    }
    const fc = parameters.get('fc.weight')!
    await expect(changed('fc.weight')).rejects.toThrow(/fc\.weight is missing/)
    await expect(changed('fc.weight', fc.subarray(1))).rejects.toThrow(/fc\.weight has \d+ elements/)
    await expect(changed('lm_head.weight', fc)).rejects.toThrow(/lm_head\.weight is none/)
    await expect(changed('fc.weight', fc.with(3, Number.NaN))).rejects.toThrow(/is NaN at 3/)
    await expect(changed('fc.weight', fc.with(5, 1e6))).rejects.toThrow(/beyond what F16 holds/)
    expect(await readdir(folder)).toEqual([])
  })

  it('refuses vocabularies that do not ascend or are not the target’s', () => {
    expect(() => vocabularyTensors(Uint32Array.of(3, 3), 10)).toThrow(/not above the one before/)
    expect(() => vocabularyTensors(Uint32Array.of(3, 10), 10)).toThrow(/not below 10/)
  })

  it('refuses a target whose frequencies have factors of their own', () => {
    const rope = { theta: 1e4, scaling: { type: 'factors' as const } }
    expect(() => headConfig({ ...tiny.model.config, rope }, parameters)).toThrow(/folder with config\.json/)
  })

  it('pairs parameters with their shapes', () => {
    const config = headConfig(tiny.model.config, parameters)
    const { hiddenSize } = config
    expect(shapeHeadParameters(config, parameters).get('fc.weight')).toEqual({
      shape: [hiddenSize, 2 * hiddenSize],
      data: parameters.get('fc.weight'),
    })
  })
})

function rowOf(noise: ReturnType<typeof createNoiseField>, row: number, size: number): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => noise.gumbel(row, i))
}
