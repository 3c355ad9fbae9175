import type { Token } from '@hass-engine/core'
import type { StreamDecoder } from '@hass-engine/tokenizer'

/**
 * The text of one generation as its tokens arrive: what may be shown is released, what may turn out to be the
 * beginning of a stop text is held back.
 */
export class TextOutput {
  readonly #decoder: StreamDecoder
  readonly #stops: readonly string[]
  #released = ''
  #held = ''
  #isStopped = false

  /** @param stops texts that end the output and are no part of it; none may be empty */
  constructor(decoder: StreamDecoder, stops: readonly string[]) {
    this.#decoder = decoder
    this.#stops = stops
  }

  /** All text released so far. */
  get text(): string {
    return this.#released
  }

  /** True once a stop text has occurred; nothing more will be released. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /** Takes one token; returns the text that it releases. */
  push(token: Token): string {
    return this.#add(this.#decoder.push(token), false)
  }

  /** Ends the text; returns what was still held back. */
  finish(): string {
    return this.#add(this.#decoder.flush(), true)
  }

  #add(text: string, isEnd: boolean): string {
    if (this.#isStopped) return ''
    this.#held += text
    const stop = Math.min(...this.#stops.map((stop) => this.#held.indexOf(stop)).filter((at) => at >= 0))
    this.#isStopped = stop !== Infinity
    const length = this.#isStopped ? stop : isEnd ? this.#held.length : this.#held.length - this.#suspectLength()
    const released = this.#held.slice(0, length)
    this.#held = this.#held.slice(length)
    this.#released += released
    return released
  }

  /** Characters at the end of the held text that a stop text might begin with. */
  #suspectLength(): number {
    let longest = 0
    for (const stop of this.#stops) {
      for (let length = Math.min(stop.length - 1, this.#held.length); length > longest; length--) {
        if (this.#held.endsWith(stop.slice(0, length))) longest = length
      }
    }
    return longest
  }
}
