interface Waiting<T> {
  resolve(result: IteratorResult<T, undefined>): void
  reject(error: unknown): void
}

/** A queue of values between one producer and one consumer, who may come late, or never. */
export class EventQueue<T> implements AsyncIterableIterator<T> {
  readonly #onReturn: () => void
  #values: T[] = []
  /** Present once no more values come; its error is thrown once, after the last value. */
  #end: { readonly error?: unknown } | undefined
  #isDiscarding = false
  /** Who asks for the next values, the first first; nobody while there are values or an end. */
  readonly #waiting: Waiting<T>[] = []

  /** @param onReturn called when the consumer leaves before the end */
  constructor(onReturn: () => void) {
    this.#onReturn = onReturn
  }

  push(value: T): void {
    if (this.#end || this.#isDiscarding) return
    const first = this.#waiting.shift()
    if (first) first.resolve({ done: false, value })
    else this.#values.push(value)
  }

  close(): void {
    this.#finish({})
  }

  /** Values that were pushed before are still delivered. */
  fail(error: unknown): void {
    this.#finish({ error })
  }

  /** Nobody will come for the values: none are kept. */
  discard(): void {
    this.#isDiscarding = true
    this.#values = []
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      if (this.#values.length > 0) resolve({ done: false, value: this.#values.shift()! })
      else if (this.#end) this.#tellEnd({ resolve, reject })
      else this.#waiting.push({ resolve, reject })
    })
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    const isEarly = !this.#end
    this.#values = []
    this.#end = undefined
    this.#finish({})
    if (isEarly) this.#onReturn()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #finish(end: { readonly error?: unknown }): void {
    this.#end ??= end
    for (const waiting of this.#waiting.splice(0)) this.#tellEnd(waiting)
  }

  #tellEnd({ resolve, reject }: Waiting<T>): void {
    const end = this.#end!
    this.#end = {}
    if ('error' in end) reject(end.error)
    else resolve({ done: true, value: undefined })
  }
}
