import { checkNumber, checkOptionKeys, InvalidArgumentError, type TargetOutput, type Token } from '@hass-engine/core'
import type { DeviceSequence, DeviceTargetModel } from '@hass-engine/models'
import type { FeatureSource, ResponseRequest, SourcedResponse } from './feature-source.js'
import type { TargetIdentity } from './target-identity.js'

export interface LocalFeatureSourceOptions {
  readonly target: DeviceTargetModel
  readonly identity: TargetIdentity
  /** Requests that share passes. Defaults to 16. */
  readonly maxSequences?: number
}

/**
 * Responses and features of a target on this machine, with continuous batching: a request joins the passes as soon as
 * another one has ended. What each gets is the same, alone or among others.
 *
 * @throws InvalidArgumentError
 */
export function createLocalFeatureSource(options: LocalFeatureSourceOptions): FeatureSource {
  checkOptionKeys(options, ['target', 'identity', 'maxSequences'], 'createLocalFeatureSource')
  const { target, identity } = options
  const maxSequences = checkNumber(options.maxSequences ?? 16, 'maxSequences', { min: 1, isInteger: true })
  const batch = new Batch(target, maxSequences)
  return {
    identity,
    maxContext: target.maxContext,
    respond: (request) => batch.add(new Job(target, request)),
    async readFeatures(tokens, signal) {
      if (tokens.length < 2) return new Float32Array(0)
      const seen = tokens.subarray(0, -1)
      const request = { tokens: seen, maxTokens: 0, temperature: 0, seed: 0n, endTokens: [] }
      return (await batch.add(new Job(target, { ...request, ...(signal && { signal }) }))).features
    },
  }
}

/** One request while it is being answered. */
class Job {
  readonly request: ResponseRequest
  readonly answer: Promise<SourcedResponse>
  readonly #target: DeviceTargetModel
  readonly #tokens: Token[]
  readonly #features: Float32Array[] = []
  #resolve!: (answer: SourcedResponse) => void
  #reject!: (reason: unknown) => void
  #sequence: DeviceSequence | undefined

  constructor(target: DeviceTargetModel, request: ResponseRequest) {
    if (request.tokens.length === 0) throw new InvalidArgumentError('A prompt has at least one token, this one none.')
    this.#target = target
    this.request = request
    this.#tokens = Array.from(request.tokens)
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Cache slots that it may come to need. */
  get slots(): number {
    return this.request.tokens.length + this.request.maxTokens
  }

  /** The tokens that the target has not seen. */
  step() {
    this.#sequence ??= this.#target.createSequence()
    const tokens = Uint32Array.from(this.#tokens.slice(this.#sequence.length))
    const parents = Int32Array.from(tokens, (_, row) => row - 1)
    const logits: 'last' | 'none' = this.request.maxTokens > 0 ? 'last' : 'none'
    return { sequence: this.#sequence, tokens, parents, logits }
  }

  /** Takes a step's outcome; true when the answer is complete. */
  async take(rows: number, { features, logits }: TargetOutput): Promise<boolean> {
    const { maxTokens, temperature, seed, endTokens, tokens: prompt } = this.request
    for (let row = 0; row < rows; row++) this.#features.push(await features.read(row))
    const position = this.#tokens.length
    if (maxTokens > 0) {
      const choice = { temperature, seed, position }
      this.#tokens.push(await (temperature === 0 ? logits.argMax(rows - 1) : logits.gumbelArgMax(rows - 1, choice)))
    }
    this.#sequence!.commit(Uint32Array.from({ length: rows }, (_, row) => row))
    const isComplete =
      this.#tokens.length - prompt.length >= maxTokens || endTokens.includes(this.#tokens[position] ?? -1)
    if (isComplete) this.#finish()
    return isComplete
  }

  fail(reason: unknown): void {
    this.#sequence?.dispose()
    this.#reject(reason)
  }

  #finish(): void {
    this.#sequence!.dispose()
    const size = this.#target.hiddenSize
    const features = new Float32Array(this.#features.length * size)
    for (const [row, values] of this.#features.entries()) features.set(values, row * size)
    this.#resolve({ tokens: Uint32Array.from(this.#tokens), features })
  }
}

/** Jobs that share passes, and those that wait for room. */
class Batch {
  readonly #target: DeviceTargetModel
  readonly #maxSequences: number
  readonly #waiting: Job[] = []
  #active: Job[] = []
  #isRunning = false

  constructor(target: DeviceTargetModel, maxSequences: number) {
    this.#target = target
    this.#maxSequences = maxSequences
  }

  add(job: Job): Promise<SourcedResponse> {
    const { capacity } = this.#target.cache
    const most = Math.min(capacity, this.#target.maxContext)
    if (job.slots > most) {
      throw new InvalidArgumentError(
        `A prompt of ${job.request.tokens.length} tokens and a response of ${job.request.maxTokens} have no room in ${most}: shorten them, or create the target with more cacheTokens.`,
        { wanted: job.slots, capacity: most },
      )
    }
    this.#waiting.push(job)
    if (!this.#isRunning) void this.#run()
    return job.answer
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    // Requests that are made together shall begin together.
    await Promise.resolve()
    for (;;) {
      this.#dropAborted()
      this.#admit()
      if (this.#active.length === 0) break
      await this.#pass()
    }
    this.#isRunning = false
  }

  async #pass(): Promise<void> {
    const jobs = this.#active
    try {
      const steps = jobs.map((job) => job.step())
      const outputs = await this.#target.forward(steps)
      const areComplete = await Promise.all(jobs.map((job, i) => job.take(steps[i]!.tokens.length, outputs[i]!)))
      this.#active = jobs.filter((_, i) => !areComplete[i])
    } catch (error) {
      this.#active = []
      for (const job of jobs) job.fail(error)
    }
  }

  #admit(): void {
    let slots = this.#active.reduce((sum, job) => sum + job.slots, 0)
    while (this.#active.length < this.#maxSequences && this.#waiting.length > 0) {
      slots += this.#waiting[0]!.slots
      if (slots > this.#target.cache.capacity) return
      this.#active.push(this.#waiting.shift()!)
    }
  }

  #dropAborted(): void {
    for (const list of [this.#waiting, this.#active]) {
      for (const job of list.filter(({ request }) => request.signal?.aborted)) {
        list.splice(list.indexOf(job), 1)
        job.fail(job.request.signal!.reason)
      }
    }
  }
}
