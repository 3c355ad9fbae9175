import { checkNumber, checkOptionKeys } from '@hass-engine/core'
import type { Device, DeviceDType } from '@hass-engine/kernels'
import type { OpenedModel } from '@hass-engine/weights'
import { targetArchitecture } from './architectures/index.js'
import { type ActivationBlock, type CacheDType, DecoderRuntime } from './passes/decoder-runtime.js'
import { NoiseChooser } from './passes/noise-chooser.js'
import type { Observer } from './passes/observer.js'
import { DeviceTargetModel } from './target-model.js'
import { uploadRopeTable } from './weights/rope.js'
import { uploadWeights } from './weights/upload-weights.js'

export interface TargetModelOptions {
  readonly device: Device
  /** What `openModel` returned. */
  readonly model: OpenedModel
  /** Tokens that the cache has room for, of all sequences. Defaults to the model's context, at most 4096. */
  readonly cacheTokens?: number
  /** Element type of cached keys and values: `F16` and `BF16` take half the memory and more time. Defaults to `F32`. */
  readonly cacheDtype?: CacheDType
  /** Rows of one pass; larger steps take several. Changes speed and memory only. Defaults to 512. */
  readonly maxRows?: number
  /** Elements of an activation that share an int8 scale where weights are packed; 0 keeps float32. Defaults to 32. */
  readonly activationBlock?: ActivationBlock
  /** What matrices are kept as. Defaults to what the file's formats map onto best. */
  readonly weightDtype?: DeviceDType
  /** Ends the loading; it rejects with `signal.reason`. */
  readonly signal?: AbortSignal
}

const optionKeys = [
  'device',
  'model',
  'cacheTokens',
  'cacheDtype',
  'maxRows',
  'activationBlock',
  'weightDtype',
  'signal',
]

/** Logits are wide: more rows of them than a draft tree has are computed in several passes. */
const maxLogitsRows = 64

/**
 * Loads a model onto a device: LLaMA 2 and 3, Qwen2 and Qwen3, from any file that `openModel` reads.
 *
 * @throws ModelUnsupportedError `HASS_ERR_MODEL_UNSUPPORTED`
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT` for unknown options and numbers out of bounds
 */
export function createTargetModel(options: TargetModelOptions): Promise<DeviceTargetModel> {
  return loadTargetModel(options)
}

/** @internal `createTargetModel`, with intermediate rows shown to tests. */
export async function loadTargetModel(options: TargetModelOptions, observer?: Observer): Promise<DeviceTargetModel> {
  checkOptionKeys(options, optionKeys, 'createTargetModel')
  const { device, model, weightDtype, signal, activationBlock = 32 } = options
  const { config } = model
  const architecture = targetArchitecture(config)
  const cacheTokens = options.cacheTokens ?? Math.min(config.maxContext, 4096)
  checkNumber(cacheTokens, 'cacheTokens', { min: 1, max: 2 ** 24, isInteger: true })
  const maxRows = checkNumber(options.maxRows ?? 512, 'maxRows', { min: 1, max: 4096, isInteger: true })
  const maxContext = Math.min(config.maxContext, cacheTokens)
  const { tensors, precision } = await uploadWeights(device, withoutRopeFactors(model), {
    ...(weightDtype && { dtype: weightDtype }),
    ...(signal && { signal }),
  })
  const disposables: { dispose(): void }[] = [...tensors.values()]
  try {
    const ropeTable = await uploadRopeTable(device, model, maxContext)
    disposables.push(ropeTable)
    // Beside each cached token, for a draft head of the same device.
    const features = device.allocate({ dtype: 'F32', shape: [cacheTokens, config.hiddenSize] })
    disposables.push(features)
    const runtime = new DecoderRuntime({
      device,
      name: config.architecture,
      config,
      weights: tensors,
      ropeTable,
      cacheTokens,
      cacheDtype: options.cacheDtype ?? 'F32',
      maxContext,
      maxRows,
      maxSelected: Math.min(maxRows, maxLogitsRows),
      activationBlock,
      ...(observer && { observer }),
      states: { features },
      build(pass, { selectedRows, selected, states }) {
        const { graph, weights } = pass
        const computed = architecture(pass)
        graph.cacheWrite(states.features!, computed, pass.slots)
        const lmHead = weights.find('lm_head.weight') ?? weights.get('embed_tokens.weight')
        const logits = graph.linear(graph.gatherRows(computed, selected), lmHead)
        graph.output('features', computed)
        graph.output('logits', logits)
        const choice = graph.gumbelArgMax(
          logits,
          graph.input('temperatures', 'U32', [selectedRows, 2]),
          graph.input('chosenPositions', 'U32', [selectedRows]),
          graph.input('seeds', 'U32', [selectedRows, 2]),
        )
        graph.output('choice', choice)
      },
    })
    disposables.push(runtime)
    const chooser = new NoiseChooser(device, config.vocabSize)
    disposables.push(chooser)
    return new DeviceTargetModel({
      device,
      model,
      tensors,
      precision,
      features,
      runtime,
      chooser,
      maxContext,
      disposables,
    })
  } catch (error) {
    for (const disposable of disposables) disposable.dispose()
    throw error
  }
}

function withoutRopeFactors({ tensors }: OpenedModel): OpenedModel['tensors'] {
  return new Map([...tensors].filter(([name]) => name !== 'rope_factors.weight'))
}
