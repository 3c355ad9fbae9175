import type { PrefixCache } from './prefix-cache.js'
import type { RunningGeneration } from './running-generation.js'
import type { Speculation } from './speculation.js'

/** A pool of cache rows that sequences take from. */
export interface RowPool {
  readonly capacity: number
  readonly free: number
}

export interface SchedulerOptions {
  readonly speculation: Speculation
  readonly prefixes: PrefixCache
  /** Pools of the target and, if there is one, the draft head. */
  readonly pools: readonly { readonly cache: RowPool }[]
  /** Sequences that are decoded side by side at most. */
  readonly maxSequences: number
  readonly prefillChunk: number
}

/**
 * Continuous batching: generations join and leave between passes. A step reads one chunk of one prompt, then runs one
 * cycle of all that are decoding. Where rows run out, kept prefixes go first, then the youngest generation makes
 * room and begins anew later: its text cannot change, since it depends on its tokens alone.
 */
export class Scheduler {
  readonly #options: SchedulerOptions
  /** Without caches, in the order of their turns. */
  readonly #waiting: RunningGeneration[] = []
  /** With caches, the oldest first. */
  readonly #reading: RunningGeneration[] = []
  readonly #decoding: RunningGeneration[] = []
  /** Emitted tokens per millisecond of cycles, a running average. */
  #rate: number | undefined
  #loop: Promise<void> | undefined
  #closeReason: { readonly reason: unknown } | undefined

  constructor(options: SchedulerOptions) {
    this.#options = options
  }

  submit(generation: RunningGeneration): void {
    this.#waiting.push(generation)
    this.wake()
  }

  wake(): void {
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined
      if (this.#all.length > 0) this.wake()
    })
  }

  /** Ends all generations with `reason`; resolves once no pass is running. */
  async close(reason: unknown): Promise<void> {
    this.#closeReason = { reason }
    while (this.#loop) await this.#loop
  }

  get #all(): RunningGeneration[] {
    return [...this.#waiting, ...this.#reading, ...this.#decoding]
  }

  async #run(): Promise<void> {
    // Requests of one turn of the event loop begin together.
    await Promise.resolve()
    for (;;) {
      this.#dropUnwanted()
      this.#admit()
      if (this.#reading.length + this.#decoding.length === 0) return
      await this.#readChunk()
      await this.#runCycle()
    }
  }

  #dropUnwanted(): void {
    for (const generation of this.#all) {
      const unwanted = this.#closeReason ?? generation.abortReason
      if (unwanted) this.#fail(generation, unwanted.reason)
    }
  }

  #admit(): void {
    const { maxSequences, speculation, prefixes } = this.#options
    while (this.#waiting.length > 0 && this.#reading.length + this.#decoding.length < maxSequences) {
      const generation = this.#waiting[0]!
      const { tokens } = generation
      // Others are waited for rather than robbed: only a generation that is alone may take all there is.
      const isAlone = this.#reading.length + this.#decoding.length === 0
      if (!this.#makeRoom(tokens.length + generation.policy.maxNodes + 1) && !isAlone) return
      this.#waiting.shift()
      const shared = prefixes.share(tokens, generation.policy.width > 0)
      generation.cachedTokens ??= shared?.target.length ?? 0
      generation.sequence = speculation.createSequence(generation.sequenceOptions, shared)
      this.#reading.push(generation)
    }
  }

  async #readChunk(): Promise<void> {
    const generation = this.#reading[0]
    if (!generation) return
    const sequence = generation.sequence!
    const rows = Math.min(this.#options.prefillChunk, sequence.tokens.length - sequence.target.length)
    if (!this.#ensureRoom(rows, generation)) return
    const { signal } = generation.request
    try {
      const first = await this.#options.speculation.prefillChunk(sequence, signal ? { signal } : {})
      if (first === undefined) return
      await generation.takeFirst(first)
      this.#move(generation, this.#decoding)
      if (generation.isOver) this.#retire(generation)
    } catch (error) {
      this.#fail(generation, generation.abortReason ? generation.abortReason.reason : error)
    }
  }

  async #runCycle(): Promise<void> {
    const rowsOf = (generations: readonly RunningGeneration[]) =>
      generations.reduce((sum, { policy }) => sum + policy.maxNodes + 2, 0)
    while (this.#decoding.length > 0 && !this.#ensureRoom(rowsOf(this.#decoding), this.#decoding[0]!));
    const generations = [...this.#decoding]
    if (generations.length === 0) return
    const startedAt = performance.now()
    let results: Awaited<ReturnType<Speculation['settleCycle']>>
    try {
      results = await this.#options.speculation.settleCycle(
        generations.map(({ sequence }) => sequence!),
        {
          maxDepths: generations.map(({ maxDepth }) => maxDepth),
          ...(this.#rate !== undefined && { rate: this.#rate / generations.length }),
        },
      )
    } catch (error) {
      for (const generation of generations) this.#fail(generation, error)
      return
    }
    let emitted = 0
    for (const [i, generation] of generations.entries()) {
      const result = results[i]!
      try {
        if (result.status === 'rejected') throw result.reason
        emitted += result.value.emitted.length
        await generation.takeCycle(result.value)
      } catch (error) {
        this.#fail(generation, error)
      }
      if (generation.isOver && generation.sequence) this.#retire(generation)
    }
    const rate = emitted / Math.max(performance.now() - startedAt, 1e-3)
    this.#rate = this.#rate === undefined ? rate : 0.9 * this.#rate + 0.1 * rate
  }

  /** Frees rows until `rows` are free: kept prefixes go. False if that is not enough. */
  #makeRoom(rows: number): boolean {
    const isFree = () => this.#options.pools.every(({ cache }) => cache.free >= rows)
    while (!isFree()) if (!this.#options.prefixes.evict()) return false
    return true
  }

  /** Frees rows for `generation`; the youngest of the others begin anew later. False if it had to go itself. */
  #ensureRoom(rows: number, generation: RunningGeneration): boolean {
    while (!this.#makeRoom(rows)) {
      const running = [...this.#decoding, ...this.#reading]
      const youngest = running.at(-1)!
      // Alone it has all rows there are: the pass itself says what is missing.
      if (running.length === 1) return true
      youngest.sequence!.dispose()
      youngest.sequence = undefined
      this.#remove(youngest)
      this.#waiting.unshift(youngest)
      if (youngest === generation) return false
    }
    return true
  }

  #move(generation: RunningGeneration, to: RunningGeneration[]): void {
    this.#remove(generation)
    to.push(generation)
  }

  #remove(generation: RunningGeneration): void {
    for (const list of [this.#waiting, this.#reading, this.#decoding]) {
      const at = list.indexOf(generation)
      if (at >= 0) list.splice(at, 1)
    }
  }

  /** A generation that has ended well leaves its caches to those that come. */
  #retire(generation: RunningGeneration): void {
    this.#remove(generation)
    const sequence = generation.sequence!
    generation.sequence = undefined
    this.#options.prefixes.keep(sequence.tokens, sequence)
  }

  #fail(generation: RunningGeneration, reason: unknown): void {
    this.#remove(generation)
    generation.sequence?.dispose()
    generation.sequence = undefined
    generation.fail(reason)
  }
}
