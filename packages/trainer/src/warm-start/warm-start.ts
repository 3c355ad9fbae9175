import { checkNumber, checkOptionKeys, InvalidArgumentError } from '@hass-engine/core'
import type { Device } from '@hass-engine/kernels'
import type { OpenedModel, TensorSource } from '@hass-engine/weights'
import type { Dataset } from '../dataset/dataset.js'
import type { HeadParameters } from '../export/head-parameters.js'
import type { TrainingBatch } from '../head-trainer.js'
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
 * Parameters to begin training with: `fc` is the ridge regression of the next feature on the next token's embedding
 * and the feature, the attention's and the MLP's inputs are those of the target's last layer, and their outputs are
 * zero, so that the head begins as that regression.
 *
 * @throws InvalidArgumentError for a target whose last layer is no ordinary one
 */
export async function createWarmStart(options: WarmStartOptions): Promise<WarmStart> {
  checkOptionKeys(options, ['device', 'target', 'dataset', 'rows', 'penalty', 'signal'], 'createWarmStart')
  const { device, target, dataset, signal } = options
  const wanted = checkNumber(options.rows ?? 60_000, 'rows', { min: 1, isInteger: true })
  const penalty = checkNumber(options.penalty ?? 1e-4, 'penalty', { above: 0 })
  const { hiddenSize: size } = target.config
  const embeddings = await readTensor(target, 'embed_tokens.weight')
  const regression = new RidgeRegression(device, 2 * size, size)
  try {
    const batches = dataset.numBatches(0)
    for (let batch = 0; batch < batches && regression.rows < wanted; batch++) {
      const read = await dataset.readBatch({ epoch: 0, batch }, signal)
      const { inputs, outputs } = regressionRows(read, embeddings, size, wanted - regression.rows)
      await regression.add(inputs, outputs)
    }
    const layer = await lastLayer(target)
    return { parameters: new Map([['fc.weight', regression.solve(penalty)], ...layer]), rows: regression.rows }
  } finally {
    regression.dispose()
  }
}

/** Embedding of the next token and feature, and the feature that comes next, of the rows that count. */
function regressionRows(
  { tokens, features, lossMask }: TrainingBatch,
  embeddings: Float32Array,
  size: number,
  maxRows: number,
): { readonly inputs: Float32Array; readonly outputs: Float32Array } {
  const rows = [...lossMask.keys()].filter((row) => lossMask[row] === 1).slice(0, maxRows)
  const inputs = new Float32Array(rows.length * 2 * size)
  const outputs = new Float32Array(rows.length * size)
  for (const [i, row] of rows.entries()) {
    const token = tokens[row]!
    inputs.set(embeddings.subarray(token * size, (token + 1) * size), i * 2 * size)
    inputs.set(features.subarray(row * size, (row + 1) * size), (i * 2 + 1) * size)
    outputs.set(features.subarray((row + 1) * size, (row + 2) * size), i * size)
  }
  return { inputs, outputs }
}

/** The target's last layer as the head's only one, its outputs zero. */
async function lastLayer(target: OpenedModel): Promise<[string, Float32Array][]> {
  const prefix = `layers.${target.config.layers - 1}.`
  const read = async (name: string): Promise<[string, Float32Array]> => [
    `layers.0.${name}`,
    await readTensor(target, prefix + name),
  ]
  const zero = async (name: string): Promise<[string, Float32Array]> => {
    const [to, values] = await read(name)
    return [to, values.fill(0)]
  }
  return Promise.all([
    read('self_attn.q_proj.weight'),
    read('self_attn.k_proj.weight'),
    read('self_attn.v_proj.weight'),
    zero('self_attn.o_proj.weight'),
    read('post_attention_layernorm.weight'),
    read('mlp.gate_proj.weight'),
    read('mlp.up_proj.weight'),
    zero('mlp.down_proj.weight'),
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
