import { afterAll, describe, expect, it } from 'vitest'
import {
  floats,
  type GoldenTensor,
  listGolden,
  readGoldenJson,
  readGoldenTensors,
} from '../../../test/support/golden.js'
import { openDevice } from './device.js'
import { createGraph } from './graph/graph.js'
import { ropeTable } from './rope-table.js'
import { testDevices } from './testing/devices.js'
import { type GoldenConfig, loadGoldenModel, readScaling, sourceOf } from './testing/golden-llama.js'
import { sameBits } from './testing/scenario.js'

const models = listGolden('models').filter((name) => listGolden(`models/${name}`, /^model\.safetensors$/).length > 0)
const configOf = (name: string) => readGoldenJson('models', name, 'config.json') as GoldenConfig
const dense = models.filter((name) => ['llama', 'qwen2', 'qwen3'].includes(configOf(name).model_type))
const withTree = dense.filter((name) => readGoldenTensors('models', name, 'golden.safetensors').has('tree.tokens'))
const yarn = models.filter((name) => configOf(name).rope_scaling?.type === 'yarn')

const idsOf = (tensor: GoldenTensor | undefined) => Array.from(tensor!.data as BigInt64Array, Number)
const chain = (length: number) => Array.from({ length }, (_, i) => i - 1)

/** Tolerances of the golden README. */
function expectClose(found: ArrayLike<number>, expected: Float32Array, absolute: number): void {
  expect(found.length).toBe(expected.length)
  let worst = -Infinity
  for (let i = 0; i < expected.length; i++) {
    const excess = Math.abs(found[i]! - expected[i]!) - absolute - 1e-4 * Math.abs(expected[i]!)
    worst = Number.isNaN(excess) ? Infinity : Math.max(worst, excess)
  }
  expect(worst).toBeLessThanOrEqual(0)
}

it('has golden models to look at', () => {
  expect(dense.length).toBeGreaterThan(0)
})

describe.each(testDevices)('golden models on $kind $isa', (options) => {
  const device = openDevice(options)
  afterAll(() => device.dispose())

  it.each(dense)('%s: prompts', async (name) => {
    const golden = readGoldenTensors('models', name, 'golden.safetensors')
    const { step } = await loadGoldenModel(device, name)
    const prompts = [...golden.keys()].filter((key) => /^prompt\d+\.input_ids$/.test(key))
    expect(prompts.length).toBeGreaterThan(0)
    for (const key of prompts) {
      const tokens = idsOf(golden.get(key)).slice(0, 256)
      const { features, logits } = await step({ tokens, parents: chain(tokens.length), committed: 0 })
      const prompt = key.split('.')[0]
      const head = (tensor: string, found: ArrayLike<number>) =>
        floats(golden, `${prompt}.${tensor}`).subarray(0, found.length)
      expectClose(features as Float32Array, head('final_norm_out', features), 1e-4)
      expectClose(logits as Float32Array, head('logits', logits), 2e-4)
    }
  })

  it.each(withTree)('%s: a tree', async (name) => {
    const golden = readGoldenTensors('models', name, 'golden.safetensors')
    const { step } = await loadGoldenModel(device, name)
    const prefix = idsOf(golden.get('tree.prefix'))
    await step({ tokens: prefix, parents: chain(prefix.length), committed: 0 })
    const tree = { tokens: idsOf(golden.get('tree.tokens')), parents: idsOf(golden.get('tree.parents')) }
    const { features, logits } = await step({ ...tree, committed: prefix.length })
    expectClose(features as Float32Array, floats(golden, 'tree.features'), 1e-4)
    expectClose(logits as Float32Array, floats(golden, 'tree.logits'), 2e-4)
  })

  it.each(withTree)(
    '%s: a token has the same bits alone, in a chunk and as a node of a tree',
    async (name) => {
      const golden = readGoldenTensors('models', name, 'golden.safetensors')
      const { step } = await loadGoldenModel(device, name)
      const prefix = idsOf(golden.get('tree.prefix'))
      const tokens = idsOf(golden.get('tree.tokens'))
      const parents = idsOf(golden.get('tree.parents'))
      const tree = async () => {
        await step({ tokens: prefix, parents: chain(prefix.length), committed: 0 })
        return step({ tokens, parents, committed: prefix.length })
      }
      const { logits } = await tree()
      const vocab = logits.length / tokens.length
      // An emulated device is slow: one node, and no token alone, tell as much there as all do elsewhere.
      const isSlow = options.kind === 'cuda-emulated'
      for (const node of isSlow ? [tokens.length - 1] : tokens.keys()) {
        const path = [node]
        while (parents[path[0]!]! >= 0) path.unshift(parents[path[0]!]!)
        const sequence = [...prefix, ...path.map((each) => tokens[each]!)]
        const expected = logits.subarray(node * vocab, (node + 1) * vocab)
        for (const chunk of isSlow ? [5, sequence.length] : [1, 4, sequence.length]) {
          let last = logits
          for (let at = 0; at < sequence.length; at += chunk) {
            const part = sequence.slice(at, at + chunk)
            last = (await step({ tokens: part, parents: chain(part.length), committed: at })).logits
          }
          expect(sameBits(last.subarray(last.length - vocab), expected), `node ${node}, chunks of ${chunk}`).toBe(true)
        }
      }
    },
    60_000,
  )

  it.each(yarn)('%s: rotated keys of yarn', async (name) => {
    const config = readGoldenJson('models', name, 'config.json')
    const weights = readGoldenTensors('models', name, 'model.safetensors')
    const golden = readGoldenTensors('models', name, 'golden.safetensors')
    const { qk_rope_head_dim: size, kv_lora_rank: rank, rope_theta: theta, rms_norm_eps: eps } = config
    const scaling = readScaling(config.rope_scaling)
    const table = ropeTable({ headSize: size, positions: 512, theta, ...(scaling && { scaling }) })
    const prefix = 'model.layers.0'
    const bindings = {
      embed: await device.upload(sourceOf(weights, 'model.embed_tokens.weight')),
      norm: await device.upload(sourceOf(weights, `${prefix}.input_layernorm.weight`)),
      down: await device.upload(sourceOf(weights, `${prefix}.self_attn.kv_a_proj_with_mqa.weight`)),
      table: await device.upload(
        { name: 'table', format: 'F32', shape: [512, size], data: table },
        { layout: 'plain' },
      ),
    }
    const g = createGraph('keys')
    const rows = g.dimension('rows', 512)
    const weight = (key: keyof typeof bindings) => g.weight(key, 'F32', bindings[key].shape)
    const x = g.embedding(g.input('tokens', 'U32', [rows]), weight('embed'))
    const latent = g.linear(g.rmsNorm(x, weight('norm'), eps), weight('down'))
    const positions = g.input('positions', 'U32', [rows])
    const rotated = g.rope(g.slice(latent, rank, size), positions, weight('table'), {
      headSize: size,
      pairing: 'interleaved',
    })
    g.output('keys', rotated)
    const tokens = Uint32Array.from(idsOf(golden.get('prompt1.input_ids')))
    const { keys } = await device.compile(g, { bindings }).run({
      inputs: { tokens, positions: tokens.map((_, i) => i) },
    })
    // The golden file holds the even elements first.
    const found = keys!.readAll()
    const sorted = Float32Array.from(found, (_, i) => {
      const [row, column] = [Math.floor(i / size), i % size]
      return found[row * size + (column < size / 2 ? 2 * column : 2 * column - size + 1)]!
    })
    expectClose(sorted, floats(golden, 'prompt1.kv.0.k_rope'), 1e-4)
  })
})
