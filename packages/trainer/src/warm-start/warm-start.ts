import { checkNumber, checkOptionKeys, InvalidArgumentError } from '@hass-engine/core'
import type { Device } from '@hass-engine/kernels'
import type { OpenedModel, TensorSource } from '@hass-engine/weights'
import type { Dataset } from '../dataset/dataset.js'
import { type HeadParameters, headConfig } from '../export/head-parameters.js'
import type { TrainingBatch } from '../head-trainer.js'
import { pickRows } from '../pick-rows.js'
import { LayerActivations } from './layer-activations.js'
import { RidgeRegression } from './ridge.js'

export interface WarmStartOptions {
  readonly device: Device
  readonly target: OpenedModel
  /** What the regression learns from; its order decides which rows are taken. */
  readonly dataset: Dataset
  /** Rows that the regression learns from, if the data has so many. Defaults to 60 000. */
  readonly rows?: number
  /** Penalty on the weights, relative to the mean square of the inputs. Defaults to 1e-4. */
  readonly penalty?: number
  readonly signal?: AbortSignal
}

/** Where training begins, and what the regression says of it. */
export interface WarmStart {
  readonly parameters: HeadParameters
  /** Rows that were learnt from. */
  readonly rows: number
}

/**
 * Parameters to begin training with, without a gradient. `fc` is the ridge regression of the next feature on the next
 * token's embedding and the feature. The attention's and the MLP's inputs are those of the target's last layer, made
 * to read features, which the final norm has scaled; their outputs are ridge regressions of what is left to predict,
 * one after the other.
 *
 * @throws InvalidArgumentError for a target whose last layer is no ordinary one
 */
export async function createWarmStart(options: WarmStartOptions): Promise<WarmStart> {
  checkOptionKeys(options, ['device', 'target', 'dataset', 'rows', 'penalty', 'signal'], 'createWarmStart')
  const { device, target, dataset, signal } = options
  const wanted = checkNumber(options.rows ?? 60_000, 'rows', { min: 1, isInteger: true })
  const penalty = checkNumber(options.penalty ?? 1e-4, 'penalty', { above: 0 })
  const size = target.config.hiddenSize
  const embeddings = await readTensor(target, 'embed_tokens.weight')
  const layer = await lastLayer(target)

  /** Regresses on what rows of a batch read; all three see the same rows. */
  const regress = async (
    inputs: number,
    rowsOf: (batch: TrainingBatch, rows: readonly number[]) => RegressionRows | Promise<RegressionRows>,
  ) => {
    const regression = new RidgeRegression(device, inputs, size)
    try {
      const batches = dataset.numBatches(0)
      for (let batch = 0; batch < batches && regression.rows < wanted; batch++) {
        const read = await dataset.readBatch({ epoch: 0, batch }, signal)
        const rows = [...read.lossMask.keys()].filter((row) => read.lossMask[row] === 1)
        const { x, y } = await rowsOf(read, rows)
        const count = Math.min(rows.length, wanted - regression.rows)
        await regression.add(x.subarray(0, count * inputs), y.subarray(0, count * size))
      }
      return { weights: regression.solve(penalty), rows: regression.rows }
    } finally {
      regression.dispose()
    }
  }

  const fc = await regress(2 * size, (batch, rows) => featureRows(batch, rows, embeddings, size))
  const parameters = new Map([['fc.weight', fc.weights], ...layer])
  const config = headConfig(target.config, parameters)
  const { limits } = dataset
  using activations = await LayerActivations.create({ device, config, parameters, embeddings, limits })
  const outputs = [
    ['layers.0.self_attn.o_proj.weight', 'attended', config.heads * config.headSize],
    ['layers.0.mlp.down_proj.weight', 'gated', config.intermediateSize],
  ] as const
  for (const [name, input, width] of outputs) {
    const { weights } = await regress(width, async (batch, rows) => {
      const read = await activations.run(batch)
      const y = nextFeatures(batch, rows, size)
      for (const [i, value] of read.residual.entries()) y[i]! -= value
      return { x: read[input], y }
    })
    activations.write(name, weights)
    parameters.set(name, weights)
  }
  return { parameters, rows: fc.rows }
}

/** `[rows, inputs]` and `[rows, E]` */
interface RegressionRows {
  readonly x: Float32Array
  readonly y: Float32Array
}

/** Embeddings of the next tokens and features, and the features that come next. */
function featureRows(
  batch: TrainingBatch,
  rows: readonly number[],
  embeddings: Float32Array,
  size: number,
): RegressionRows {
  const x = new Float32Array(rows.length * 2 * size)
  for (const [i, row] of rows.entries()) {
    const token = batch.tokens[row]!
    x.set(embeddings.subarray(token * size, (token + 1) * size), i * 2 * size)
    x.set(batch.features.subarray(row * size, (row + 1) * size), (i * 2 + 1) * size)
  }
  return { x, y: nextFeatures(batch, rows, size) }
}

function nextFeatures({ features }: TrainingBatch, rows: readonly number[], size: number): Float32Array {
  return pickRows(features, rows, 1, size)
}

/**
 * The target's last layer as the head's only one, its outputs zero. It has read the residual stream, normed; the head's
 * reads features, which are that stream normed and scaled by the final norm: what it scales by is taken out again.
 */
async function lastLayer(target: OpenedModel): Promise<[string, Float32Array][]> {
  const prefix = `layers.${target.config.layers - 1}.`
  const finalNorm = await readTensor(target, 'norm.weight')
  // Where the final norm is zero, so is every feature.
  const unscale = (norm: Float32Array) => norm.map((weight, i) => (finalNorm[i] === 0 ? 0 : weight / finalNorm[i]!))
  const inputScale = unscale(await readTensor(target, `${prefix}input_layernorm.weight`))
  const from = async (
    name: string,
    change: (values: Float32Array) => Float32Array,
  ): Promise<[string, Float32Array]> => [`layers.0.${name}`, change(await readTensor(target, prefix + name))]
  const scaled = (values: Float32Array) => values.map((value, i) => value * inputScale[i % inputScale.length]!)
  const same = (values: Float32Array) => values
  const zero = (values: Float32Array) => values.fill(0)
  return Promise.all([
    from('self_attn.q_proj.weight', scaled),
    from('self_attn.k_proj.weight', scaled),
    from('self_attn.v_proj.weight', scaled),
    from('self_attn.o_proj.weight', zero),
    from('post_attention_layernorm.weight', unscale),
    from('mlp.gate_proj.weight', same),
    from('mlp.up_proj.weight', same),
    from('mlp.down_proj.weight', zero),
  ])
}

function readTensor({ tensors, config }: OpenedModel, name: string): Promise<Float32Array> {
  const tensor: TensorSource | undefined = tensors.get(name)
  if (tensor) return tensor.readFloat32()
  throw new InvalidArgumentError(
    `The target (${config.architecture}) has no tensor ${name}: a warm start needs a last layer of attention and one MLP.`,
    { name, architecture: config.architecture },
  )
}
