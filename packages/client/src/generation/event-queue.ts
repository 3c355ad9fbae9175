import type { GenerationEvent } from '@hass-engine/core'

type Step = IteratorResult<GenerationEvent, undefined>

interface Reader {
  resolve(step: Step): void
  reject(error: unknown): void
}

/** Events between the call that receives them and whoever reads them, who may come late, or never. */
export class EventQueue implements AsyncIterableIterator<GenerationEvent> {
  readonly #onLeave: () => void
  #events: GenerationEvent[] = []
  #readers: Reader[] = []
  /** Present once no more events come; an error in it is thrown once, after the last event. */
  #end: { readonly error?: unknown } | undefined

  /** @param onLeave called when the reader leaves before the end */
  constructor(onLeave: () => void) {
    this.#onLeave = onLeave
  }

  push(event: GenerationEvent): void {
    if (this.#end) return
    const reader = this.#readers.shift()
    if (reader) reader.resolve({ done: false, value: event })
    else this.#events.push(event)
  }

  /** Ends the queue: with an error, if `end` has one. Events that were pushed before are still read. */
  close(end: { readonly error?: unknown } = {}): void {
    this.#end ??= end
    for (const reader of this.#readers.splice(0)) this.#tellEnd(reader)
  }

  next(): Promise<Step> {
    return new Promise((resolve, reject) => {
      const event = this.#events.shift()
      if (event) resolve({ done: false, value: event })
      else if (this.#end) this.#tellEnd({ resolve, reject })
      else this.#readers.push({ resolve, reject })
    })
  }

  async return(): Promise<Step> {
    const isEarly = !this.#end
    this.#events = []
    this.#end = {}
    this.close()
    if (isEarly) this.#onLeave()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #tellEnd({ resolve, reject }: Reader): void {
    const end = this.#end!
    this.#end = {}
    if ('error' in end) reject(end.error)
    else resolve({ done: true, value: undefined })
  }
}
