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
import type { Device, DeviceTensor } from '@hass-engine/kernels'
import type { ModelConfig, OpenedModel } from '@hass-engine/weights'
import type { DecoderRuntime } from './passes/decoder-runtime.js'
import { choiceInputs, type NoiseChooser, type NoisyChoice } from './passes/noise-chooser.js'
import type { PassPart, RowBatch } from './passes/plan-passes.js'
import { DeviceSequence } from './target-sequence.js'
import { TargetStep } from './target-step.js'
import type { Precision } from './weights/upload-weights.js'

export interface TargetParts {
  readonly device: Device
  readonly model: OpenedModel
  readonly tensors: ReadonlyMap<string, DeviceTensor>
  readonly precision: Precision
  /** `[slots, hiddenSize] F32`, a row beside each slot of the cache */
  readonly features: DeviceTensor
  readonly runtime: DecoderRuntime
  readonly chooser: NoiseChooser
  readonly maxContext: number
  /** What is freed with the model. */
  readonly disposables: readonly { dispose(): void }[]
}

/** A target on a device. Its sequences share one cache; a forward pass takes any mix of them. */
export class DeviceTargetModel implements TargetModel, AsyncDisposable {
  /** What it was loaded onto. */
  readonly device: Device
  readonly config: ModelConfig
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly maxContext: number
  /** How exactly the device holds the file's weights. */
  readonly precision: Precision
  /** @internal For draft heads. */
  readonly opened: OpenedModel
  /** @internal For draft heads: `[slots, hiddenSize] F32`, each row valid as long as its slot is taken. */
  readonly features: DeviceTensor
  readonly #tensors: ReadonlyMap<string, DeviceTensor>
  readonly #runtime: DecoderRuntime
  readonly #chooser: NoiseChooser
  readonly #disposables: TargetParts['disposables']
  #isDisposed = false

  /** @internal Use `createTargetModel`. */
  constructor(parts: TargetParts) {
    this.device = parts.device
    this.opened = parts.model
    this.config = parts.model.config
    this.vocabSize = this.config.vocabSize
    this.hiddenSize = this.config.hiddenSize
    this.maxContext = parts.maxContext
    this.precision = parts.precision
    this.features = parts.features
    this.#tensors = parts.tensors
    this.#runtime = parts.runtime
    this.#chooser = parts.chooser
    this.#disposables = parts.disposables
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
        for (const step of opened) step.abandon()
        throw error
      }
      return opened
    })
  }

  /** Frees weights, cache and program; sequences need not be disposed of any more. A second call does nothing. */
  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    for (const disposable of this.#disposables) disposable.dispose()
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
    const opened = new TargetStep(step, sequence, this, this.#chooser)
    sequence.begin(opened, step.parents)
    opened.place(sequence.cached)
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
    for await (const { parts, outputs } of this.#runtime.run(batches, (some) => stepInputs(steps, some), signal)) {
      let [at, selectedAt] = [0, 0]
      const choices = outputs.choice!.readAll()
      for (const { batch, from, to } of parts) {
        const step = steps[batch]!
        for (let row = from; row < to; row++) {
          step.features.attach(row, outputs.features!, at++)
          if (step.asksFor(row)) step.logits.attach(row, outputs.logits!, selectedAt, choices[selectedAt++]!)
        }
        this.#runtime.keep(step.features, step.logits.values)
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

/** What a pass is told of its rows besides their places: what they read, and how tokens are chosen after them. */
function stepInputs(steps: readonly TargetStep[], parts: readonly PassPart[]) {
  const tokens = new Uint32Array(parts.reduce((rows, { from, to }) => rows + to - from, 0))
  const choices: NoisyChoice[] = []
  let at = 0
  for (const { batch, from, to } of parts) {
    const step = steps[batch]!
    tokens.set(step.tokens.subarray(from, to), at)
    at += to - from
    for (let row = from; row < to; row++) if (step.asksFor(row)) choices.push(step.logits.choiceOf(row))
  }
  const { temperatures, positions, seeds } = choiceInputs(choices)
  return { tokens, temperatures, chosenPositions: positions, seeds }
}
