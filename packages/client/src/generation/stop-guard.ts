import { ResponseError } from '../errors.js'

/**
 * Holds back the end of a text while it may be the beginning of a stop text: servers cut stop texts off in the end,
 * but SGLang sends their first characters before it knows. What was given out is never taken back.
 */
export class StopGuard {
  readonly #stops: readonly string[]
  #held = ''
  #isStopped = false

  constructor(stops: readonly string[]) {
    this.#stops = stops
  }

  /** True once a whole stop text has come: `transformers serve` ends there, and leaves it in its text. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /** @returns what can be given out by now; nothing of a stop text, nor of what follows it */
  push(text: string): string {
    if (this.#isStopped) return ''
    const all = this.#held + text
    const stopsAt = this.#stops.map((stop) => all.indexOf(stop)).filter((index) => index >= 0)
    if (stopsAt.length > 0) {
      this.#isStopped = true
      this.#held = ''
      return all.slice(0, Math.min(...stopsAt))
    }
    const keep = this.#stops.reduce((longest, stop) => Math.max(longest, overlap(all, stop)), 0)
    this.#held = all.slice(all.length - keep)
    return all.slice(0, all.length - keep)
  }

  /** Takes back the last characters of what was pushed. @throws ResponseError if they have been given out */
  takeBack(length: number): void {
    if (this.#isStopped) return
    if (length > this.#held.length) {
      throw new ResponseError(`The server took back ${length} characters of its text, which had been given out.`, {
        length,
      })
    }
    this.#held = this.#held.slice(0, this.#held.length - length)
  }

  /** @returns what is still held: no stop text came of it */
  finish(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }
}

/** Length of the longest end of `text` with which `stop` begins. */
function overlap(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length
  }
  return 0
}
