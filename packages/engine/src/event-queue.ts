/** A queue of values between one producer and one consumer, who may come late, or never. */
export class EventQueue<T> implements AsyncIterableIterator<T> {
  readonly #onReturn: () => void
  #values: T[] = []
  #end: { readonly error?: unknown } | undefined
  #isDiscarding = false
  #waiting: (() => void)[] = []

  /** @param onReturn called when the consumer leaves before the end */
  constructor(onReturn: () => void) {
    this.#onReturn = onReturn
  }

  push(value: T): void {
    if (this.#end || this.#isDiscarding) return
    this.#values.push(value)
    this.#wake()
  }

  close(): void {
    this.#end ??= {}
    this.#wake()
  }

  /** Values that were pushed before are still delivered. */
  fail(error: unknown): void {
    this.#end ??= { error }
    this.#wake()
  }

  /** Nobody will come for the values: none are kept. */
  discard(): void {
    this.#isDiscarding = true
    this.#values = []
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    while (this.#values.length === 0 && !this.#end) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    if (this.#values.length > 0) return { done: false, value: this.#values.shift()! }
    const end = this.#end!
    this.#end = {}
    if ('error' in end) throw end.error
    return { done: true, value: undefined }
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    const isEarly = !this.#end
    this.#values = []
    this.#end = {}
    this.#wake()
    if (isEarly) this.#onReturn()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume()
  }
}
