import {
  checkNumber,
  checkOptionKeys,
  DisposedError,
  type ForwardOptions,
  InvalidArgumentError,
  type SequenceStep,
  type TargetModel,
  type TargetOutput,
} from '@hass-engine/core'
import type { Device, DeviceDType, DeviceTensor } from '@hass-engine/kernels'
import type { ModelConfig, OpenedModel } from '@hass-engine/weights'
import { targetArchitecture } from './architectures/index.js'
import { type ActivationBlock, type CacheDType, DecoderRuntime } from './passes/decoder-runtime.js'
import type { PassPart, RowBatch } from './passes/plan-passes.js'
import { DeviceSequence } from './target-sequence.js'
import { TargetStep } from './target-step.js'
import { uploadRopeTable } from './weights/rope.js'
import { type Precision, uploadWeights } from './weights/upload-weights.js'

export interface TargetModelOptions {
  readonly device: Device
  /** What `openModel` returned. */
  readonly model: OpenedModel
  /** Tokens that the cache has room for, of all sequences. Defaults to the model's context, at most 4096. */
  readonly cacheTokens?: number
  /** Element type of cached keys and values. Defaults to `F16` for packed weights, else `F32`. */
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

/** For tests: names that a forward pass gives to intermediate rows, and the device's outputs of the last pass. */
export interface Observation {
  observe(name: string, rows: Float32Array): void
}

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
export async function loadTargetModel(options: TargetModelOptions, observer?: Observation): Promise<DeviceTargetModel> {
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
  try {
    const ropeTable = await uploadRopeTable(device, model, maxContext)
    tensors.set('rope', ropeTable)
    const observed: string[] = []
    const runtime = new DecoderRuntime({
      device,
      name: config.architecture,
      config,
      weights: tensors,
      ropeTable,
      cacheTokens,
      cacheDtype: options.cacheDtype ?? defaultCacheDtype(tensors),
      maxContext,
      maxRows,
      maxSelected: Math.min(maxRows, maxLogitsRows),
      activationBlock,
      build(pass, { selected }) {
        const { graph, weights } = pass
        const observe = (name: string, rows: typeof selected) => {
          graph.output(name, rows)
          observed.push(name)
        }
        const features = architecture(observer ? { ...pass, observe } : pass)
        const lmHead = weights.find('lm_head.weight') ?? weights.get('embed_tokens.weight')
        const logits = graph.linear(graph.gatherRows(features, selected), lmHead)
        graph.output('features', features)
        graph.output('logits', logits)
        graph.output('argMax', graph.argMax(logits))
      },
    })
    return new DeviceTargetModel({ model, tensors, precision, runtime, maxContext, observer, observed })
  } catch (error) {
    for (const tensor of tensors.values()) tensor.dispose()
    throw error
  }
}

function withoutRopeFactors({ tensors }: OpenedModel): OpenedModel['tensors'] {
  return new Map([...tensors].filter(([name]) => name !== 'rope_factors.weight'))
}

function defaultCacheDtype(tensors: ReadonlyMap<string, DeviceTensor>): CacheDType {
  const isPacked = [...tensors.values()].some(({ dtype }) => dtype === 'Q4' || dtype === 'Q8')
  return isPacked ? 'F16' : 'F32'
}

interface TargetParts {
  readonly model: OpenedModel
  readonly tensors: ReadonlyMap<string, DeviceTensor>
  readonly precision: Precision
  readonly runtime: DecoderRuntime
  readonly maxContext: number
  readonly observer: Observation | undefined
  readonly observed: readonly string[]
}

/** A target on a device. Its sequences share one cache; a forward pass takes any mix of them. */
export class DeviceTargetModel implements TargetModel, AsyncDisposable {
  readonly config: ModelConfig
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly maxContext: number
  /** How exactly the device holds the file's weights. */
  readonly precision: Precision
  /** @internal For draft heads. */
  readonly opened: OpenedModel
  readonly #tensors: ReadonlyMap<string, DeviceTensor>
  readonly #runtime: DecoderRuntime
  readonly #parts: TargetParts
  #isDisposed = false

  /** @internal Use `createTargetModel`. */
  constructor(parts: TargetParts) {
    this.opened = parts.model
    this.config = parts.model.config
    this.vocabSize = this.config.vocabSize
    this.hiddenSize = this.config.hiddenSize
    this.maxContext = parts.maxContext
    this.precision = parts.precision
    this.#tensors = parts.tensors
    this.#runtime = parts.runtime
    this.#parts = parts
  }

  /** Slots of the cache, one per token, and those that no sequence holds. */
  get cache(): { readonly capacity: number; readonly free: number } {
    const { capacity, numFree } = this.#runtime.pool
    return { capacity, free: numFree }
  }

  createSequence(): DeviceSequence {
    this.#check()
    return new DeviceSequence(this, this.#runtime.createRows())
  }

  /**
   * Computes rows of any sequences. Steps that are too large for one pass take several.
   *
   * A failed or aborted pass leaves its sequences as they were before it, without a step to commit.
   *
   * @throws CacheFullError `HASS_ERR_CACHE_FULL`, ContextLengthError `HASS_ERR_CONTEXT_LENGTH`, InvalidArgumentError
   */
  async forward(steps: readonly SequenceStep[], options: ForwardOptions = {}): Promise<TargetOutput[]> {
    checkOptionKeys(options, ['signal'], 'forward')
    const { signal } = options
    signal?.throwIfAborted()
    this.#check()
    this.#checkSteps(steps)
    return this.#runtime.exclusively(async () => {
      const opened: TargetStep[] = []
      try {
        for (const step of steps) opened.push(this.#open(step))
        await this.#run(opened, signal)
      } catch (error) {
        for (const step of opened) step.end(true)
        throw error
      }
      for (const step of opened) step.end(false)
      return opened
    })
  }

  /** Frees weights, cache and program; sequences need not be disposed of any more. A second call does nothing. */
  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#runtime.dispose()
    for (const tensor of this.#tensors.values()) tensor.dispose()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose()
  }

  /** @internal A weight on the device, by its canonical name: draft heads share the target's embeddings. */
  weight(name: string): DeviceTensor {
    this.#check()
    return this.#tensors.get(name)!
  }

  /** @internal A layer's cache, `keys.N` or `values.N`, for tests. */
  cacheTensor(name: string): DeviceTensor {
    return this.#runtime.cache(name)
  }

  #open(step: SequenceStep): TargetStep {
    const sequence = step.sequence as DeviceSequence
    const opened = new TargetStep(step, sequence, this)
    sequence.begin(opened, step.parents)
    return opened
  }

  async #run(steps: readonly TargetStep[], signal: AbortSignal | undefined): Promise<void> {
    const batches = steps.map(
      (step): RowBatch => ({
        cached: step.sequence.cached,
        firstRow: 0,
        rows: step.rows,
        isSelected: (row) => step.asksFor(row),
      }),
    )
    const tokens = (parts: readonly PassPart[]) => ({
      tokens: Uint32Array.from(parts.flatMap(({ batch, from, to }) => [...steps[batch]!.tokens.subarray(from, to)])),
    })
    for await (const { parts, outputs } of this.#runtime.run(batches, tokens, signal)) {
      let [at, selectedAt] = [0, 0]
      const choices = outputs.argMax!.readAll()
      for (const { batch, from, to } of parts) {
        const step = steps[batch]!
        for (let row = from; row < to; row++) {
          step.features.attach(row, outputs.features!, at++)
          if (step.asksFor(row)) step.logits.attach(row, outputs.logits!, selectedAt, choices[selectedAt++]!)
        }
        this.#runtime.keep(step.features, step.logits.values)
      }
      for (const name of this.#parts.observed) {
        this.#parts.observer!.observe(name, outputs[name]!.readAll() as Float32Array)
      }
    }
  }

  #checkSteps(steps: readonly SequenceStep[]): void {
    const seen = new Set<unknown>()
    for (const { sequence, tokens, parents, logits = 'all' } of steps) {
      if (!(sequence instanceof DeviceSequence) || sequence.model !== this) {
        throw new InvalidArgumentError('A step is of a sequence of another model; create it with createSequence.')
      }
      if (seen.has(sequence)) throw new InvalidArgumentError('Two steps of one pass are of the same sequence.')
      seen.add(sequence)
      sequence.cached.checkLive()
      if (tokens.length !== parents.length) {
        throw new InvalidArgumentError(`A step has ${tokens.length} tokens and ${parents.length} parents.`, {
          tokens: tokens.length,
          parents: parents.length,
        })
      }
      if (!['all', 'last', 'none'].includes(logits)) {
        throw new InvalidArgumentError(`logits is ${JSON.stringify(logits)}, expected "all", "last" or "none".`)
      }
      for (const token of tokens) checkNumber(token, 'token', { min: 0, below: this.vocabSize, isInteger: true })
    }
  }

  #check(): void {
    if (this.#isDisposed) throw new DisposedError('The target model')
  }
}
