import { openDevice } from '@hass-engine/kernels'
import { openModel } from '@hass-engine/weights'
import { describe, expect, it } from 'vitest'
import { floats, goldenPath, listGolden, readGoldenJson, readGoldenTensors } from '../../../test/support/golden.js'
import { createHeadTrainer } from './create-head-trainer.js'
import type { TrainingBatch } from './head-trainer.js'
import { deviceKinds } from './testing/devices.js'

const settings = readGoldenJson('train', 'train.json')
const batchNames = listGolden('train', /\.proper\.safetensors$/).map((file) => file.split('.')[0]!)

/** A golden batch: the inputs that training reads, and what must come out. */
function readBatch(name: string) {
  const tensors = readGoldenTensors('train', `${name}.inputs.safetensors`)
  const [sequences, positions] = tensors.get('input_ids')!.shape as [number, number]
  const words = (key: string) => Array.from(tensors.get(key)!.data as BigInt64Array, Number)
  const batch: TrainingBatch = {
    sequences,
    positions,
    tokens: Uint32Array.from(words('input_ids')),
    features: floats(tensors, 'hidden_states'),
    lossMask: Uint8Array.from(words('loss_mask')),
  }
  return { batch, expected: readGoldenTensors('train', `${name}.proper.safetensors`) }
}

async function openTrainer(kind: 'reference' | 'cpu', batch: TrainingBatch, alignmentSteps: number) {
  const device = openDevice({ kind })
  const head = await openModel(goldenPath('heads', settings.head))
  const target = await openModel(goldenPath('models', settings.target))
  const parameters = new Map<string, { shape: readonly number[]; data: Float32Array }>()
  for (const [name, tensor] of head.tensors) {
    if (name.startsWith('embed_tokens')) continue
    parameters.set(name, { shape: tensor.shape, data: await tensor.readFloat32() })
  }
  const embeddings = target.tensors.get('embed_tokens.weight')!
  const lmHead = target.tensors.get('lm_head.weight') ?? embeddings
  const trainer = await createHeadTrainer({
    device,
    config: head.config,
    parameters,
    embedTokens: {
      name: 'embed_tokens',
      format: 'F32',
      shape: embeddings.shape as [number, number],
      data: await embeddings.readFloat32(),
    },
    lmHead: await lmHead.readFloat32(),
    recipe: {
      alignmentSteps,
      weights: { feature: settings.v_w, token: settings.p_w, topK: settings.topk_w },
      topK: settings.topk,
      betas: settings.betas,
      epsilon: settings.eps,
      weightDecay: settings.weight_decay,
      clip: settings.clip_value,
    },
    maxSequences: batch.sequences,
    maxPositions: batch.positions,
  })
  return Object.assign(trainer, { [Symbol.asyncDispose]: async () => device.dispose() })
}

/** Largest difference to the golden tensor `name`, relative to its largest element where `isRelative`. */
function difference(found: Float32Array, expected: Float32Array, isRelative: boolean): number {
  expect(found.length).toBe(expected.length)
  let [worst, largest] = [0, 0]
  for (const [i, value] of expected.entries()) {
    // A NaN must not pass for a small difference.
    worst = Math.max(worst, Number.isFinite(found[i]) ? Math.abs(found[i]! - value) : Infinity)
    largest = Math.max(largest, Math.abs(value))
  }
  return isRelative ? worst / largest : worst
}

function worstOf(
  found: ReadonlyMap<string, Float32Array>,
  expected: Parameters<typeof floats>[0],
  prefix: string,
  isRelative: boolean,
) {
  expect(found.size).toBeGreaterThan(0)
  return Math.max(
    ...[...found].map(([name, data]) => difference(data, floats(expected, `${prefix}.${name}`), isRelative)),
  )
}

describe.each(deviceKinds)('training on %s', (kind) => {
  describe.each(batchNames)('%s', (name) => {
    const { batch, expected } = readBatch(name)
    const { losses } = settings.batches[name].proper

    it('has the golden losses and gradients of every alignment step', async () => {
      const steps = settings.alignment_steps as number
      let before: ReadonlyMap<string, Float32Array> = new Map()
      for (let step = 1; step <= steps; step++) {
        await using trainer = await openTrainer(kind, batch, step)
        const found = await trainer.accumulate(batch)
        expect(found).toHaveLength(step)
        for (const [i, { feature, token, topK, total }] of found.entries()) {
          expect(feature).toBeCloseTo(losses[i].feature_smooth_l1, 5)
          expect(token).toBeCloseTo(losses[i].soft_ce, 4)
          expect(topK).toBeCloseTo(losses[i].topk, 4)
          expect(total).toBeCloseTo(losses[i].total, 4)
        }
        const sum = await trainer.readGradients()
        // Steps add up, so what one more step adds is that step's gradient.
        const own = new Map(
          [...sum].map(([key, data]) => [key, data.map((value, i) => value - (before.get(key)?.[i] ?? 0))]),
        )
        expect(worstOf(own, expected, `grad_step${step}`, true)).toBeLessThan(1e-4)
        before = sum
      }
      expect(worstOf(before, expected, 'grad_sum', true)).toBeLessThan(1e-4)
    })

    it('has the golden parameters and moments after one and three updates', async () => {
      await using trainer = await openTrainer(kind, batch, settings.alignment_steps)
      for (let update = 1; update <= 3; update++) {
        await trainer.accumulate(batch)
        await trainer.update({ learningRate: settings.lr })
        if (update === 2) continue
        const { step, parameters, firstMoments, secondMoments } = await trainer.readState()
        expect(step).toBe(update)
        expect(worstOf(parameters, expected, `params_after${update}`, false)).toBeLessThan(5e-6)
        expect(worstOf(firstMoments, expected, `exp_avg_after${update}`, true)).toBeLessThan(1e-4)
        expect(worstOf(secondMoments, expected, `exp_avg_sq_after${update}`, true)).toBeLessThan(2e-4)
      }
    })
  })
})

it('has golden batches to train on', () => {
  expect(batchNames.length).toBeGreaterThan(0)
})
