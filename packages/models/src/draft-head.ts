import {
  checkNumber,
  checkOptionKeys,
  DisposedError,
  type DraftCandidates,
  type DraftContext,
  type DraftFrontier,
  type DraftModel,
  type ForwardOptions,
  InvalidArgumentError,
  type TargetModel,
} from '@hass-engine/core'
import type { RunOutputs } from '@hass-engine/kernels'
import { CandidateRule, type RankedRow } from './draft-candidates.js'
import { DraftSequence } from './draft-sequence.js'
import { FeatureInputs, type FeatureSource } from './feature-inputs.js'
import type { DecoderRuntime } from './passes/decoder-runtime.js'
import type { PassPart, RowBatch } from './passes/plan-passes.js'
import { DeviceFeatures } from './target-step.js'
import type { Precision } from './weights/upload-weights.js'

export interface DraftHeadParts {
  readonly target: TargetModel
  readonly runtime: DecoderRuntime
  /** Target ids of the draft vocabulary, if it is a reduced one. */
  readonly vocabulary: Uint32Array | undefined
  /** What is freed with the head. */
  readonly disposables: readonly { dispose(): void }[]
  readonly precision: Precision
}

/** Open rows of one sequence that are to be computed, and what the device says of them. */
interface HeadStep {
  readonly sequence: DraftSequence
  readonly tokens: Uint32Array
  /** The target's features, or those that the rows' parents predicted. */
  readonly features: FeatureSource
  /** Number of the first row among the sequence's open ones. */
  readonly firstRow: number
  /** Rows from this one on are asked for candidates. */
  readonly firstSelected: number
  readonly ranked: RankedRow[]
}

/** A draft head on a device: each row sees its sequence's committed rows, its drafted ancestors, and itself. */
export class DeviceDraftHead implements DraftModel, AsyncDisposable {
  /** How exactly the device holds the weights that the head reads, the target's among them. */
  readonly precision: Precision
  /** Tokens that the head can propose. */
  readonly draftVocabSize: number
  readonly #parts: DraftHeadParts
  readonly #hiddenSize: number
  #isDisposed = false

  /** @internal Use `createDraftHead`. */
  constructor(parts: DraftHeadParts) {
    this.precision = parts.precision
    this.draftVocabSize = parts.vocabulary?.length ?? parts.target.vocabSize
    this.#hiddenSize = parts.target.hiddenSize
    this.#parts = parts
  }

  /** Slots of the head's cache, one per row, and those that no sequence holds. */
  get cache(): { readonly capacity: number; readonly free: number } {
    const { capacity, numFree } = this.#parts.runtime.pool
    return { capacity, free: numFree }
  }

  createSequence(): DraftSequence {
    this.#checkLive()
    return new DraftSequence(this, this.#parts.runtime.createRows())
  }

  /**
   * Forgets drafted rows and appends rows of the target's features for good; returns the last rows' candidates. Of a
   * failed or aborted call nothing is appended.
   *
   * @throws CacheFullError `HASS_ERR_CACHE_FULL`, ContextLengthError `HASS_ERR_CONTEXT_LENGTH`, InvalidArgumentError
   */
  async begin(contexts: readonly DraftContext[], options: ForwardOptions = {}): Promise<DraftCandidates[]> {
    this.#checkCall(options, 'begin')
    for (const context of contexts) this.#checkContext(context)
    this.#checkDistinct(contexts.map(({ sequence }) => sequence))
    const features = await Promise.all(contexts.map((context) => this.#findFeatures(context)))
    return this.#parts.runtime.exclusively(async () => {
      const steps = contexts.map(({ sequence, tokens, width, coupling }, i): HeadStep => {
        const firstSelected = tokens.length - (width > 0 ? 1 : 0)
        const own = sequence as DraftSequence
        own.beginCycle(new CandidateRule(width, coupling))
        return { sequence: own, tokens, features: features[i]!, firstRow: 0, firstSelected, ranked: [] }
      })
      const parents = steps.map(({ tokens }) => Int32Array.from(tokens, (_, row) => row - 1))
      await this.#run(steps, parents, options.signal)
      for (const { sequence, tokens } of steps) sequence.cached.commit(tokens.map((_, row) => row))
      return this.#finish(steps)
    })
  }

  /**
   * Runs drafted rows, each with its own token and the feature that its parent predicted. Of a failed or aborted call
   * no row is there; those of earlier calls are.
   *
   * @throws as `begin` does
   */
  async extend(frontiers: readonly DraftFrontier[], options: ForwardOptions = {}): Promise<DraftCandidates[]> {
    this.#checkCall(options, 'extend')
    this.#checkDistinct(frontiers.map(({ sequence }) => sequence))
    return this.#parts.runtime.exclusively(async () => {
      const steps = frontiers.map((frontier) => this.#frontierStep(frontier))
      const parents = frontiers.map(({ frontier }) => Int32Array.from(frontier.parents, (parent) => parent - 1))
      await this.#run(steps, parents, options.signal)
      return this.#finish(steps)
    })
  }

  /** Frees what is the head's own, not the target. A second call does nothing. */
  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    for (const disposable of this.#parts.disposables) disposable.dispose()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose()
  }

  /** Opens the steps' rows and computes them; if that fails they are closed again. */
  async #run(
    steps: readonly HeadStep[],
    parents: readonly ArrayLike<number>[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { runtime } = this.#parts
    const batches = steps.map(
      ({ sequence, firstRow, tokens, firstSelected }): RowBatch => ({
        cached: sequence.cached,
        firstRow,
        rows: tokens.length,
        isSelected: (row) => row >= firstSelected,
      }),
    )
    try {
      for (const [i, { sequence }] of steps.entries()) sequence.cached.open(parents[i]!)
      for await (const { parts, outputs } of runtime.run(batches, (some) => this.#inputs(steps, some), signal)) {
        this.#collect(steps, parts, outputs)
      }
    } catch (error) {
      for (const { sequence, firstRow } of steps) sequence.cached.close(firstRow)
      throw error
    }
  }

  #inputs(steps: readonly HeadStep[], parts: readonly PassPart[]) {
    const size = this.#hiddenSize
    const rows = parts.reduce((total, { from, to }) => total + to - from, 0)
    const tokens = new Uint32Array(rows)
    const features = new FeatureInputs(rows, this.#parts.runtime.pool.capacity, size)
    const temperatures: number[] = []
    let at = 0
    for (const { batch, from, to } of parts) {
      const step = steps[batch]!
      tokens.set(step.tokens.subarray(from, to), at)
      features.add(step.features, from, to)
      for (let row = Math.max(from, step.firstSelected); row < to; row++) {
        temperatures.push(step.sequence.rule!.temperature)
      }
      at += to - from
    }
    const inverseTemperature = new Float32Array(temperatures.length * size)
    for (const [i, temperature] of temperatures.entries()) {
      inverseTemperature.fill(1 / temperature, i * size, (i + 1) * size)
    }
    return { tokens, inverseTemperature, ...features.inputs }
  }

  #collect(steps: readonly HeadStep[], parts: readonly PassPart[], outputs: RunOutputs): void {
    const ids = this.#targetIds(outputs.ids!.readAll() as Uint32Array)
    const logProbs = outputs.logProbs!.readAll() as Float32Array
    const pool = outputs.ids!.shape[1]!
    let selected = 0
    for (const { batch, from, to } of parts) {
      const { sequence, firstRow, firstSelected, ranked } = steps[batch]!
      for (let row = Math.max(from, firstSelected); row < to; row++) {
        const some = [selected * pool, ++selected * pool] as const
        ranked.push({
          tokens: ids.subarray(...some),
          logProbs: logProbs.subarray(...some),
          // Row t has read token t + 1.
          position: sequence.cached.position(firstRow + row) + 2,
        })
      }
    }
  }

  #targetIds(ids: Uint32Array): Uint32Array {
    const { vocabulary } = this.#parts
    if (vocabulary) for (let i = 0; i < ids.length; i++) ids[i] = vocabulary[ids[i]!]!
    return ids
  }

  #finish(steps: readonly HeadStep[]): DraftCandidates[] {
    return steps.map(({ sequence, ranked, tokens, firstSelected }) => {
      const candidates = sequence.rule!.candidates(ranked)
      // Without candidates a context still has its last row.
      const rows = firstSelected === tokens.length && tokens.length > 0 ? 1 : ranked.length
      sequence.numRows += rows
      return { ...candidates, rows }
    })
  }

  #frontierStep({ sequence, frontier }: DraftFrontier): HeadStep {
    const own = this.#checkSequence(sequence)
    const { numRows, cached } = own
    const { tokens, parents } = frontier
    if (tokens.length !== parents.length) {
      throw new InvalidArgumentError(`A frontier has ${tokens.length} tokens and ${parents.length} parents.`, {
        tokens: tokens.length,
        parents: parents.length,
      })
    }
    this.#checkTokens(tokens)
    const slots = new Uint32Array(tokens.length)
    for (const [row, parent] of parents.entries()) {
      checkNumber(parent, `parent of row ${row}`, { min: 0, below: numRows, isInteger: true })
      slots[row] = own.slot(parent)
    }
    const features = { kind: 'predicted', slots } as const
    return { sequence: own, tokens, features, firstRow: cached.numOpen, firstSelected: 0, ranked: [] }
  }

  /** Features of the head's own target stay where they are; others are copied. */
  async #findFeatures({ features, featureRows }: DraftContext): Promise<FeatureSource> {
    if (features instanceof DeviceFeatures && features.model === this.#parts.target) {
      const slots = features.slotsOf(featureRows)
      if (slots) return { kind: 'target', slots }
    }
    const values = new Float32Array(featureRows.length * this.#hiddenSize)
    for (let i = 0; i < featureRows.length; i++) values.set(await features.read(featureRows[i]!), i * this.#hiddenSize)
    return { kind: 'given', values }
  }

  #checkContext({ sequence, tokens, features, featureRows, width }: DraftContext): void {
    this.#checkSequence(sequence)
    checkNumber(tokens.length, 'tokens of a context', { min: 1 })
    checkNumber(width, 'width', { min: 0, isInteger: true })
    this.#checkTokens(tokens)
    if (featureRows.length !== tokens.length || features.hiddenSize !== this.#hiddenSize) {
      throw new InvalidArgumentError(
        `A context has ${tokens.length} tokens and ${featureRows.length} features of size ${features.hiddenSize}, expected one of size ${this.#hiddenSize} for each token.`,
        { tokens: tokens.length, featureRows: featureRows.length, hiddenSize: features.hiddenSize },
      )
    }
  }

  #checkTokens(tokens: Uint32Array): void {
    const below = this.#parts.target.vocabSize
    for (const token of tokens) checkNumber(token, 'token', { min: 0, below, isInteger: true })
  }

  #checkSequence(sequence: unknown): DraftSequence {
    if (!(sequence instanceof DraftSequence) || sequence.head !== this) {
      throw new InvalidArgumentError('The sequence is of another draft model; create it with createSequence.')
    }
    sequence.cached.checkLive()
    return sequence
  }

  #checkDistinct(sequences: readonly unknown[]): void {
    if (new Set(sequences).size === sequences.length) return
    throw new InvalidArgumentError('One sequence occurs twice in the same pass.')
  }

  #checkCall({ signal, ...others }: ForwardOptions, where: string): void {
    checkOptionKeys(others, ['signal'], where)
    signal?.throwIfAborted()
    this.#checkLive()
  }

  #checkLive(): void {
    if (this.#isDisposed) throw new DisposedError('The draft head')
  }
}
