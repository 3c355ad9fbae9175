import type { FeatureRows } from '@hass-engine/core'
import { dynamicTree } from '@hass-engine/draft-tree'
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
import { loadDraftHead } from './create-draft-head.js'
import { createTargetModel } from './create-target-model.js'
import { expectClose, hiddenTolerance, logitsTolerance } from './testing/compare.js'
import { deviceKinds, useDevice } from './testing/devices.js'
import { draftTree } from './testing/draft-tree.js'
import { range } from './testing/run-steps.js'

const heads = listGolden('heads').filter((name) => !name.includes('.'))

function featureRows(tensors: Map<string, GoldenTensor>, name: string): FeatureRows {
  const data = floats(tensors, name)
  const [rows, hiddenSize] = tensors.get(name)!.shape as [number, number]
  return { rows, hiddenSize, read: (row) => data.slice(row * hiddenSize, (row + 1) * hiddenSize) }
}

it('finds golden heads', () => expect(heads.length).toBeGreaterThan(0))

describe.each(deviceKinds)('golden heads on %s', (kind) => {
  const device = useDevice(kind)

  describe.each(heads)('%s', (name) => {
    const golden = readGoldenJson('heads', name, 'golden.json')
    const tensors = readGoldenTensors('heads', name, 'golden.safetensors')
    const load = async (observed: Map<string, Float32Array>) => {
      const model = await openModel(goldenPath('models', golden.target))
      const target = await createTargetModel({ device: device(), model })
      const head = await loadDraftHead(
        { device: device(), target, model: await openModel(goldenPath('heads', name)), weightDtype: 'file' },
        { observe: (key, rows) => observed.set(key, rows) },
      )
      return { head, target }
    }

    it('gives fc outputs, features and logits, row by row', async () => {
      const observed = new Map<string, Float32Array>()
      const { head, target } = await load(observed)
      for (const [i, { head_token_ids: tokens }] of golden.prompts.entries()) {
        const features = featureRows(tensors, `prompt${i}.features_in`)
        const sequence = head.createSequence()
        for (const [row, token] of tokens.entries()) {
          await head.begin([{ sequence, tokens: Uint32Array.of(token), features, featureRows: [row], width: 1 }])
          const rowOf = (key: string, size: number) =>
            floats(tensors, `prompt${i}.${key}`).subarray(row * size, (row + 1) * size)
          const { hiddenSize, vocabSize } = target
          expectClose(observed.get('fc_out')!, rowOf('fc_out', hiddenSize), hiddenTolerance, `fc_out[${row}]`)
          expectClose(
            observed.get('predicted')!,
            rowOf('features_out', hiddenSize),
            hiddenTolerance,
            `features_out[${row}]`,
          )
          expectClose(observed.get('logits')!, rowOf('logits', vocabSize), logitsTolerance, `logits[${row}]`)
        }
        expect(sequence.length).toBe(tokens.length)
        sequence.dispose()
      }
      head.dispose()
      target.dispose()
    })

    it('drafts the golden trees', async () => {
      const { head, target } = await load(new Map())
      for (const [i, { head_token_ids: tokens, root, trees }] of golden.prompts.entries()) {
        const features = featureRows(tensors, `prompt${i}.features_in`)
        expect(trees.length).toBeGreaterThan(0)
        for (const expected of trees) {
          const sequence = head.createSequence()
          const { top_k: topK, depth, nodes_asked: maxNodes } = expected
          const policy = dynamicTree({ topK, depth, maxNodes })
          const context = { tokens: Uint32Array.from(tokens as number[]), features, featureRows: range(tokens.length) }
          const tree = await draftTree(head, policy, { sequence, ...context, width: policy.width }, root)
          expect([...tree.tokens]).toEqual(expected.draft_tokens)
          expect([...tree.parents]).toEqual(expected.parents)
          expectClose(tree.logProbs, expected.cumulative_log_prob, { abs: 1e-4, rel: 0 }, 'scores')
          sequence.dispose()
        }
      }
      expect(head.cache.free).toBe(head.cache.capacity)
      head.dispose()
      target.dispose()
    })
  })
})
