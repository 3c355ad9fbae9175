import type { TreePolicy } from '@hass-engine/core'
import type { PrefixCache } from './prefix-cache.js'
import type { RunningGeneration } from './running-generation.js'
import type { Speculation } from './speculation.js'

/** A model with a pool of cache rows that its sequences take from. */
export interface CachedModel {
  readonly cache: { readonly capacity: number; readonly free: number }
}

export interface SchedulerOptions {
  readonly speculation: Speculation
  readonly prefixes: PrefixCache
  readonly target: CachedModel
  /** Its cache has room for as many rows as the target's, or more. */
  readonly draft: CachedModel | undefined
  /** Sequences that are decoded side by side at most. */
  readonly maxSequences: number
  readonly prefillChunk: number
}

/** Rows that a tree is given room for before it is drafted; a larger one is cut where that is all there is. */
const treeRows = ({ maxNodes }: TreePolicy) => Math.min(maxNodes, 63) + 1

/**
 * Continuous batching: generations join and leave between passes. A step reads one chunk of one prompt, then runs one
 * cycle of all that are decoding. Where rows run out, kept prefixes go first, then trees are cut, then the youngest
 * generation makes room and begins anew later: its text cannot change, since it depends on its tokens alone.
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
    if (this.#closeReason) generation.abort(this.#closeReason.reason)
    this.wake()
  }

  wake(): void {
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined
      if (this.#all.length > 0) this.wake()
    })
  }

  /** Ends all generations with `reason`, and those that are still to come; resolves once no pass is running. */
  async close(reason: unknown): Promise<void> {
    this.#closeReason ??= { reason }
    for (const generation of this.#all) generation.abort(reason)
    while (this.#loop) await this.#loop
  }

  get #all(): RunningGeneration[] {
    return [...this.#waiting, ...this.#running]
  }

  /** The oldest first. */
  get #running(): RunningGeneration[] {
    return [...this.#decoding, ...this.#reading]
  }

  async #run(): Promise<void> {
    // Requests of one turn of the event loop begin together.
    await Promise.resolve()
    for (;;) {
      this.#dropUnwanted()
      this.#admit()
      if (this.#running.length === 0) return
      await this.#readChunk()
      await this.#runCycle()
    }
  }

  #dropUnwanted(): void {
    for (const generation of this.#all) if (generation.signal.aborted) this.#fail(generation, undefined)
  }

  #admit(): void {
    while (this.#waiting.length > 0 && this.#running.length < this.#options.maxSequences) {
      const generation = this.#waiting[0]!
      try {
        if (!this.#begin(generation)) return
      } catch (error) {
        this.#fail(generation, error)
      }
    }
  }

  /** Gives a generation its caches. False if it must wait for room: others are not robbed for it. */
  #begin(generation: RunningGeneration): boolean {
    const { speculation, prefixes } = this.#options
    const { policy, tokens, sequenceOptions } = generation
    const shared = prefixes.share(tokens, policy.width > 0)
    const sharedRows = shared?.target.length ?? 0
    const hasRoom = this.#makeRoom(tokens.length - sharedRows + treeRows(policy))
    if (!hasRoom && this.#running.length > 0) {
      shared?.target.dispose()
      shared?.draft?.dispose()
      return false
    }
    generation.sequence = speculation.createSequence(sequenceOptions, shared)
    generation.cachedTokens ??= sharedRows
    this.#move(generation, this.#reading)
    return true
  }

  async #readChunk(): Promise<void> {
    const generation = this.#reading[0]
    if (!generation) return
    const sequence = generation.sequence!
    const rows = Math.min(this.#options.prefillChunk, sequence.tokens.length - sequence.target.length)
    if (!this.#ensureRoom(rows, generation)) return
    try {
      const first = await this.#options.speculation.prefillChunk(sequence, { signal: generation.signal })
      if (first === undefined) return
      generation.signal.throwIfAborted()
      await generation.takeFirst(first)
      this.#move(generation, this.#decoding)
      if (generation.isOver) this.#retire(generation)
    } catch (error) {
      this.#fail(generation, error)
    }
  }

  async #runCycle(): Promise<void> {
    const { speculation, target } = this.#options
    if (this.#decoding.length === 0) return
    // Whole trees are worth the kept prefixes, but no other generation: that one makes room for roots alone.
    this.#makeRoom(this.#decoding.reduce((sum, { policy }) => sum + treeRows(policy), 0))
    // The draft model's committed rows are no more than the target's, and its drafting ends where its cache does.
    this.#ensureRoom(this.#decoding.length, this.#decoding[0]!, [target])
    const generations = [...this.#decoding]
    const startedAt = performance.now()
    let results: Awaited<ReturnType<Speculation['settleCycle']>>
    try {
      results = await speculation.settleCycle(
        generations.map(({ sequence }) => sequence!),
        {
          maxDepths: generations.map(({ maxDepth }) => maxDepth),
          maxRows: target.cache.free,
          ...(this.#rate !== undefined && { rate: this.#rate }),
          // A pass for several goes on for the others.
          ...(generations.length === 1 && { signal: generations[0]!.signal }),
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
        generation.signal.throwIfAborted()
        await generation.takeCycle(result.value)
        if (generation.isOver) this.#retire(generation)
      } catch (error) {
        this.#fail(generation, error)
      }
    }
    // What time is worth to whoever drafts is what drafting brings, not what plain decoding does beside it.
    if (generations.every(({ policy }) => policy.maxNodes === 0)) return
    const rate = emitted / Math.max(performance.now() - startedAt, 1e-3)
    this.#rate = this.#rate === undefined ? rate : 0.9 * this.#rate + 0.1 * rate
  }

  get #models(): readonly CachedModel[] {
    const { target, draft } = this.#options
    return draft ? [target, draft] : [target]
  }

  /** Frees rows until `rows` are free in each cache: kept prefixes go. False if that is not enough. */
  #makeRoom(rows: number, models = this.#models): boolean {
    const isFree = () => models.every(({ cache }) => cache.free >= rows)
    while (!isFree()) if (!this.#options.prefixes.evict()) return false
    return true
  }

  /** Frees rows for `generation`; the youngest of the others begin anew later. False if it had to go itself. */
  #ensureRoom(rows: number, generation: RunningGeneration, models = this.#models): boolean {
    while (!this.#makeRoom(rows, models)) {
      const running = this.#running
      const youngest = running.at(-1)!
      // Alone it has all rows there are: the pass itself says what is missing.
      if (running.length === 1) return true
      this.#release(youngest)
      this.#move(youngest, this.#waiting, 0)
      if (youngest === generation) return false
    }
    return true
  }

  #move(generation: RunningGeneration, to: RunningGeneration[], at = to.length): void {
    this.#remove(generation)
    to.splice(at, 0, generation)
  }

  #remove(generation: RunningGeneration): void {
    for (const list of [this.#waiting, this.#reading, this.#decoding]) {
      const at = list.indexOf(generation)
      if (at >= 0) list.splice(at, 1)
    }
  }

  #release(generation: RunningGeneration): void {
    generation.sequence?.dispose()
    generation.sequence = undefined
  }

  /** A generation that has ended well leaves its caches to those that come. */
  #retire(generation: RunningGeneration): void {
    this.#remove(generation)
    const sequence = generation.sequence!
    generation.sequence = undefined
    this.#options.prefixes.keep(sequence.tokens, sequence)
  }

  /** Why it was no longer wanted, if it was not, says more than what then went wrong. */
  #fail(generation: RunningGeneration, error: unknown): void {
    this.#remove(generation)
    this.#release(generation)
    generation.fail(generation.signal.aborted ? generation.signal.reason : error)
  }
}
