import {
  createGraph,
  type Device,
  type DeviceTensor,
  type Dimension,
  type Graph,
  type GraphTensor,
  type InputData,
  type Program,
  type RunOutputs,
} from '@hass-engine/kernels'
import type { ModelConfig } from '@hass-engine/weights'
import type { DecoderPass } from '../architectures/decoder.js'
import { CachedRows } from '../cache/cached-rows.js'
import { SlotPool } from '../cache/slot-pool.js'
import { GraphWeights } from '../weights/graph-weights.js'
import type { Observer } from './observer.js'
import { passInputs } from './pass-inputs.js'
import { type PassLimits, type PassPart, planPasses, type RowBatch } from './plan-passes.js'
import type { StepRows } from './step-rows.js'

/** Element type of cached keys and values. */
export type CacheDType = 'F32' | 'F16' | 'BF16'

/** How activations meet packed weights: int8 with one scale per so many elements, or float32 (0). */
export type ActivationBlock = 0 | 16 | 32

export interface DecoderRuntimeOptions {
  readonly device: Device
  /** Of the graph, for messages. */
  readonly name: string
  readonly config: ModelConfig
  readonly weights: ReadonlyMap<string, DeviceTensor>
  /** `[positions, headSize] F32` */
  readonly ropeTable: DeviceTensor
  readonly cacheTokens: number
  readonly cacheDtype: CacheDType
  readonly maxContext: number
  readonly maxRows: number
  /** Most rows of a pass that `selected` names. */
  readonly maxSelected: number
  readonly activationBlock: ActivationBlock
  readonly observer?: Observer
  /** Further states that the pass reads or writes, by name: tensors of others, which are not freed with the runtime. */
  readonly states?: Readonly<Record<string, DeviceTensor>>
  /** Records the forward pass and names its outputs. */
  readonly build: (pass: DecoderPass, selection: PassSelection) => void
}

/** The rows of a pass, and those of them that only some outputs are computed for. */
export interface PassSelection {
  readonly rows: Dimension
  readonly selectedRows: Dimension
  /** `[selectedRows] U32` */
  readonly selected: GraphTensor
  /** The options' `states` as the graph knows them. */
  readonly states: Readonly<Record<string, GraphTensor>>
}

/** One pass over some rows of each batch, in the order of the parts. */
export interface PassResult {
  readonly parts: readonly PassPart[]
  readonly outputs: RunOutputs
}

/** Sequences of one pass; a bound on the offsets' place among the inputs, no more. */
const maxSequences = 256

/** A decoder on a device: its program, its cache, and the sequences in it. */
export class DecoderRuntime {
  readonly pool: SlotPool
  readonly #maxContext: number
  readonly #limits: PassLimits
  readonly #program: Program
  readonly #caches: Readonly<Record<string, DeviceTensor>>
  readonly #observer: Observer | undefined
  readonly #observed: string[] = []
  /** Outputs of the last pass that may still be asked for. */
  #attached: StepRows[] = []
  #queue: Promise<unknown> = Promise.resolve()

  constructor(options: DecoderRuntimeOptions) {
    const { device, config, cacheTokens, cacheDtype, maxRows, maxSelected } = options
    this.pool = new SlotPool(cacheTokens)
    this.#maxContext = options.maxContext
    this.#observer = options.observer
    this.#limits = {
      rows: maxRows,
      selected: maxSelected,
      sequences: maxSequences,
      // Sequences that share a prefix list it each; beyond four times the cache a pass is cut in two.
      context: 4 * cacheTokens,
      ancestors: (maxRows * (maxRows + 1)) / 2,
    }
    const shape = [cacheTokens, config.kvHeads * config.headSize]
    const graph = createGraph(options.name, { activationBlock: options.activationBlock })
    const rows = graph.dimension('rows', maxRows)
    const weights = new GraphWeights(graph, options.weights)
    const caches = Array.from({ length: config.layers }, (_, layer) => ({
      keys: graph.state(`keys.${layer}`, cacheDtype, shape),
      values: graph.state(`values.${layer}`, cacheDtype, shape),
    }))
    const pass: DecoderPass = {
      graph,
      config,
      weights,
      tokens: graph.input('tokens', 'U32', [rows]),
      positions: graph.input('positions', 'U32', [rows]),
      slots: graph.input('slots', 'U32', [rows]),
      context: graph.treeContext(rows, { maxSequences, maxContext: this.#limits.context }),
      ropeTable: graph.weight('rope', 'F32', options.ropeTable.shape),
      caches,
      ...(options.observer && { observe: (name: string, tensor: GraphTensor) => this.#expose(graph, name, tensor) }),
    }
    const selectedRows = graph.dimension('selected', maxSelected)
    const others = options.states ?? {}
    const states = Object.fromEntries(
      Object.entries(others).map(([name, { dtype, shape }]) => [name, graph.state(name, dtype, shape)]),
    )
    options.build(pass, { rows, selectedRows, selected: graph.input('selected', 'U32', [selectedRows]), states })
    const cacheNames = caches.flatMap(({ keys, values }) => [keys.name, values.name])
    this.#caches = allocateAll(device, cacheNames, { dtype: cacheDtype, shape })
    try {
      this.#program = device.compile(graph, {
        bindings: { ...weights.bindings(), ...this.#caches, ...others, rope: options.ropeTable },
      })
    } catch (error) {
      for (const cache of Object.values(this.#caches)) cache.dispose()
      throw error
    }
  }

  /** A sequence without tokens. */
  createRows(): CachedRows {
    return new CachedRows(this.pool, this.#maxContext)
  }

  /** Runs `work` when all that was asked for before has ended: outputs of a pass are gone with the next one. */
  exclusively<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(work)
    this.#queue = result.catch(() => undefined)
    return result
  }

  /**
   * Computes open rows in as many passes as they need.
   *
   * @param inputsOf what the graph needs of a pass's rows besides their places: tokens, features
   */
  async *run(
    batches: readonly RowBatch[],
    inputsOf: (parts: readonly PassPart[]) => Record<string, InputData>,
    signal?: AbortSignal,
  ): AsyncGenerator<PassResult> {
    for (const { cached } of batches) cached.hold()
    try {
      for (const parts of planPasses(batches, this.#limits)) {
        for (const rows of this.#attached) rows.detach()
        this.#attached = []
        const outputs = await this.#program.run({
          inputs: { ...passInputs(parts, batches), ...inputsOf(parts) },
          ...(signal && { signal }),
        })
        for (const name of this.#observed) this.#observer!.observe(name, outputs[name]!.readAll() as Float32Array)
        yield { parts, outputs }
      }
    } finally {
      for (const { cached } of batches) cached.letGo()
    }
  }

  /** Has rows copied before the next pass. */
  keep(...rows: readonly StepRows[]): void {
    this.#attached.push(...rows)
  }

  /** A layer's cached keys or values, by `keys.N` and `values.N`. */
  cache(name: string): DeviceTensor {
    return this.#caches[name]!
  }

  /** Frees program and cache. */
  dispose(): void {
    this.#program.dispose()
    for (const cache of Object.values(this.#caches)) cache.dispose()
  }

  #expose(graph: Graph, name: string, tensor: GraphTensor): void {
    graph.output(name, tensor)
    this.#observed.push(name)
  }
}

/** Tensors of zeros by name; if one cannot be had, none remains. */
function allocateAll(
  device: Device,
  names: readonly string[],
  options: { readonly dtype: CacheDType; readonly shape: readonly number[] },
): Record<string, DeviceTensor> {
  const allocated: Record<string, DeviceTensor> = {}
  try {
    for (const name of names) allocated[name] = device.allocate(options)
    return allocated
  } catch (error) {
    for (const tensor of Object.values(allocated)) tensor.dispose()
    throw error
  }
}
