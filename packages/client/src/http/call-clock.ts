import { TimeoutError, type TimeoutPhase } from '../errors.js'

/**
 * Ends one call: when its caller aborts, when a phase of it takes too long, or when all of it does. `signal` then
 * aborts with the reason that the call is to reject with.
 */
export class CallClock implements Disposable {
  readonly signal: AbortSignal
  readonly #controller = new AbortController()
  readonly #endsAt: number
  readonly #total: NodeJS.Timeout | undefined
  readonly #unlisten: (() => void)[] = []
  #phase: NodeJS.Timeout | undefined

  /** @param signals of whoever may end the call; none is held longer than it takes */
  constructor(totalMs: number, signals: readonly AbortSignal[] = []) {
    this.signal = this.#controller.signal
    this.#endsAt = performance.now() + totalMs
    this.#total = this.#timer('total', totalMs)
    for (const signal of signals) {
      const listener = () => this.#controller.abort(signal.reason)
      if (signal.aborted) listener()
      else signal.addEventListener('abort', listener, { once: true })
      this.#unlisten.push(() => signal.removeEventListener('abort', listener))
    }
  }

  /** Milliseconds that the call may still take. */
  get remainingMs(): number {
    return this.#endsAt - performance.now()
  }

  /** Begins a phase, or begins it anew; the one before is over. */
  enter(phase: TimeoutPhase, ms: number): void {
    this.leave()
    this.#phase = this.#timer(phase, ms)
  }

  /** Ends the current phase: what follows is not the server's time. */
  leave(): void {
    clearTimeout(this.#phase)
    this.#phase = undefined
  }

  [Symbol.dispose](): void {
    this.leave()
    clearTimeout(this.#total)
    for (const unlisten of this.#unlisten) unlisten()
  }

  #timer(phase: TimeoutPhase, ms: number): NodeJS.Timeout | undefined {
    if (ms === Infinity) return undefined
    return setTimeout(() => this.#controller.abort(new TimeoutError(phase, ms)), ms)
  }
}
