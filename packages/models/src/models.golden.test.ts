import { openModel } from '@hass-engine/weights'
import { describe, expect, it } from 'vitest'
import {
  floats,
  type GoldenTensor,
  goldenPath,
  listGolden,
  readGoldenJson,
  readGoldenTensors,
} from '../../../test/support/golden.js'
import { createTargetModel, loadTargetModel } from './create-target-model.js'
import type { DeviceTargetModel } from './target-model.js'
import { expectClose, hiddenTolerance, logitsTolerance } from './testing/compare.js'
import { deviceKinds, useDevice } from './testing/devices.js'
import { decodeGreedily, prefill } from './testing/run-steps.js'

const isComputed = (name: string) => {
  const type = readGoldenJson('models', name, 'config.json').model_type
  return ['llama', 'qwen2', 'qwen3'].includes(type)
}

/** The folder of the golden numbers of a model: another model's where they are the same. */
function goldenFolder(name: string): string {
  const { same_as: sameAs } = readGoldenJson('models', name, 'golden.json')
  return sameAs ? sameAs.split('/').at(-2) : name
}

const ids = (tensors: Map<string, GoldenTensor>, name: string) =>
  Array.from(tensors.get(name)!.data as BigInt64Array, Number)

describe.each(deviceKinds)('golden models on %s', (kind) => {
  const device = useDevice(kind)
  const names = listGolden('models').filter(isComputed)

  it('has models of every architecture', () => {
    const types = names.map((name) => readGoldenJson('models', name, 'config.json').model_type)
    expect([...new Set(types)].sort()).toEqual(['llama', 'qwen2', 'qwen3'])
  })

  describe.each(names)('%s', (name) => {
    const tensors = readGoldenTensors('models', goldenFolder(name), 'golden.safetensors')
    const prompts = [...tensors.keys()]
      .filter((key) => /^prompt\d+\.input_ids$/.test(key))
      .map((key) => key.split('.')[0]!)

    it('gives residual streams, features and logits of the prompts', async () => {
      const observed = new Map<string, Float32Array>()
      const model = await loadTargetModel(
        { device: device(), model: await openModel(goldenPath('models', name)) },
        { observe: (key, rows) => observed.set(key, rows) },
      )
      expect(model.precision.isExact).toBe(true)
      for (const prompt of prompts) {
        const { sequence, output } = await prefill(model, ids(tensors, `${prompt}.input_ids`))
        for (const [key, rows] of observed) {
          if (!tensors.has(`${prompt}.hidden.0`)) continue
          expectClose(rows, floats(tensors, `${prompt}.${key}`), hiddenTolerance, `${prompt}.${key}`)
        }
        expect(observed.size).toBe(model.config.layers + 1)
        await expectRows(output, tensors, `${prompt}.final_norm_out`, `${prompt}.logits`)
        if (tensors.has(`${prompt}.kv.0.k`)) expectCache(model, sequence.cached.committed, tensors, prompt)
        sequence.dispose()
      }
      expect(model.cache.free).toBe(model.cache.capacity)
      model.dispose()
    })

    it('continues the prompts greedily, and computes the tree', async () => {
      const model = await createTargetModel({
        device: device(),
        model: await openModel(goldenPath('models', name)),
      })
      for (const prompt of prompts) {
        const expected = ids(tensors, `${prompt}.greedy`)
        const found = await decodeGreedily(model, ids(tensors, `${prompt}.input_ids`), expected.length)
        expect(found, prompt).toEqual(expected)
      }
      if (tensors.has('tree.tokens')) {
        const { sequence } = await prefill(model, ids(tensors, 'tree.prefix'))
        const [output] = await model.forward([
          {
            sequence,
            tokens: Uint32Array.from(ids(tensors, 'tree.tokens')),
            parents: Int32Array.from(ids(tensors, 'tree.parents')),
          },
        ])
        await expectRows(output!, tensors, 'tree.features', 'tree.logits')
      }
      model.dispose()
    })
  })
})

type Output = Awaited<ReturnType<DeviceTargetModel['forward']>>[number]

async function expectRows(output: Output, tensors: Map<string, GoldenTensor>, features: string, logits: string) {
  const [expectedFeatures, expectedLogits] = [floats(tensors, features), floats(tensors, logits)]
  const { hiddenSize, rows } = output.features
  const { vocabSize } = output.logits
  expect([expectedFeatures.length, expectedLogits.length]).toEqual([rows * hiddenSize, rows * vocabSize])
  for (let row = 0; row < rows; row++) {
    const feature = expectedFeatures.subarray(row * hiddenSize, (row + 1) * hiddenSize)
    const logit = expectedLogits.subarray(row * vocabSize, (row + 1) * vocabSize)
    expectClose(await output.features.read(row), feature, hiddenTolerance, `${features}[${row}]`)
    expectClose(await output.logits.read(row), logit, logitsTolerance, `${logits}[${row}]`)
  }
}

/** The golden cache is `[kvHeads, tokens, headSize]`, a device's `[slots, kvHeads · headSize]`. */
function expectCache(model: DeviceTargetModel, slots: Uint32Array, tensors: Map<string, GoldenTensor>, prompt: string) {
  const { layers, kvHeads, headSize } = model.config
  for (let layer = 0; layer < layers; layer++) {
    for (const [kind, name] of [
      ['k', `keys.${layer}`],
      ['v', `values.${layer}`],
    ] as const) {
      const expected = floats(tensors, `${prompt}.kv.${layer}.${kind}`)
      for (const [token, slot] of slots.entries()) {
        const row = model.cacheTensor(name).read(new Float32Array(kvHeads * headSize), slot * kvHeads * headSize)
        for (let head = 0; head < kvHeads; head++) {
          const at = (head * slots.length + token) * headSize
          const found = row.subarray(head * headSize, (head + 1) * headSize)
          expectClose(
            found,
            expected.subarray(at, at + headSize),
            hiddenTolerance,
            `${name} head ${head} token ${token}`,
          )
        }
      }
    }
  }
}
