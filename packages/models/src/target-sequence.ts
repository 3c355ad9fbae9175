import { checkNumber, checkOptionKeys, type TargetModel, type TargetSequence } from '@hass-engine/core'
import type { CachedRows } from './cache/cached-rows.js'

/** What a sequence knows of its step. */
interface OpenedStep {
  /** Only these rows have their slots still. */
  keep(rows: ArrayLike<number>): void
  expire(): void
}

export interface ForkOptions {
  /** Committed tokens to share, from the first. Defaults to all. */
  readonly length?: number
}

/** A sequence in a device's cache. */
export class DeviceSequence implements TargetSequence {
  /** @internal */
  readonly model: TargetModel
  /** @internal */
  readonly cached: CachedRows
  #step: OpenedStep | undefined

  /** @internal Use `createSequence`. */
  constructor(model: TargetModel, cached: CachedRows) {
    this.model = model
    this.cached = cached
  }

  get length(): number {
    return this.cached.length
  }

  commit(rows: ArrayLike<number>): void {
    this.cached.commit(rows)
    this.#step?.keep(rows)
  }

  /**
   * A new sequence that begins with this one's committed tokens and shares their cache; both go on independently.
   *
   * @throws InvalidArgumentError for more tokens than are committed
   */
  fork(options: ForkOptions = {}): DeviceSequence {
    checkOptionKeys(options, ['length'], 'fork')
    const length = options.length ?? this.length
    checkNumber(length, 'length', { min: 0, max: this.length, isInteger: true })
    return new DeviceSequence(this.model, this.cached.fork(length))
  }

  /** Frees the cache, behind the pass if one is running; a second call does nothing. */
  dispose(): void {
    this.cached.dispose()
    this.#step?.keep([])
  }

  /** @internal Opens a step's rows; the outputs of the step before it cannot be read any more. */
  begin(step: OpenedStep, parents: ArrayLike<number>): void {
    this.cached.checkLive()
    this.cached.close()
    this.#step?.expire()
    this.cached.open(parents)
    this.#step = step
  }
}
