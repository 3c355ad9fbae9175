import type {
  FinishReason,
  GenerationEvent,
  GenerationResult,
  TargetChoices,
  Token,
  TokenLogProbs,
  TreePolicy,
} from '@hass-engine/core'
import { createTargetChooser, type TargetChooser } from '@hass-engine/sampler'
import { EventQueue } from './event-queue.js'
import type { PreparedRequest } from './request.js'
import type { SpeculationCycle } from './speculation.js'
import type { SequenceOptions, SpeculativeSequence, TargetPass } from './speculative-sequence.js'
import { StatisticsCounter } from './statistics.js'
import type { TextOutput } from './text-output.js'

/** One request on its way: what it has emitted, and who waits for it. Knows nothing of passes and caches. */
export class RunningGeneration {
  readonly request: PreparedRequest
  readonly policy: TreePolicy
  readonly events: EventQueue<GenerationEvent>
  readonly result: Promise<GenerationResult>
  /** Set while the generation has caches. */
  sequence: SpeculativeSequence | undefined
  /** Prompt tokens that were read from the cache at the first prefill. */
  cachedTokens: number | undefined
  /** When the last pass for it ended. */
  lastPassAt: number
  readonly #output: TextOutput
  readonly #statistics = new StatisticsCounter()
  readonly #emitted: Token[] = []
  readonly #logProbs: TokenLogProbs[] = []
  readonly #startedAt: number
  #prefillMs: number | undefined
  #firstTokenMs: number | undefined
  #chooser: TargetChooser | undefined
  #settle!: { resolve(result: GenerationResult): void; reject(error: unknown): void }
  #finishReason: FinishReason | undefined
  #isOver = false
  readonly #controller = new AbortController()
  readonly #onAbort: () => void
  readonly #unlisten: () => void

  /** @param onAbort called when the generation is no longer wanted */
  constructor(request: PreparedRequest, policy: TreePolicy, output: TextOutput, onAbort: () => void) {
    this.request = request
    this.policy = policy
    this.#output = output
    this.#startedAt = performance.now()
    this.lastPassAt = this.#startedAt
    this.result = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    // Whoever reads the events need not read the result too.
    this.result.catch(() => {})
    this.#onAbort = onAbort
    this.events = new EventQueue(() => {
      this.abort(new DOMException('The stream was left before its end.', 'AbortError'))
    })
    const { signal } = request
    const listener = () => this.abort(signal!.reason)
    signal?.addEventListener('abort', listener, { once: true })
    this.#unlisten = () => signal?.removeEventListener('abort', listener)
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Aborted once the generation is no longer wanted, by its caller, its reader or the engine; ends passes for it. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The first reason counts; a generation that is over stays as it ended. */
  abort(reason: unknown): void {
    if (this.#isOver || this.signal.aborted) return
    this.#controller.abort(reason)
    this.#onAbort()
  }

  /** Prompt and emitted tokens: the prompt of a generation that must begin anew. */
  get tokens(): readonly Token[] {
    return [...this.request.promptTokens, ...this.#emitted]
  }

  /** How deep a tree can be of use. */
  get maxDepth(): number {
    return Math.max(0, this.request.maxTokens - this.#emitted.length - 1)
  }

  get sequenceOptions(): SequenceOptions {
    const { sampler, isCoupled } = this.request
    const { temperature, seed } = sampler.rule
    return {
      tokens: this.tokens,
      policy: this.policy,
      choices: (pass) => this.#choose(pass),
      ...(sampler.isPlain && temperature > 0 && { choice: { temperature, seed } }),
      ...(isCoupled && temperature > 0 && { coupling: sampler.rule }),
    }
  }

  /** Takes the token that a prefill emitted. */
  async takeFirst(token: Token): Promise<void> {
    const now = performance.now()
    this.#prefillMs ??= now - this.#startedAt
    this.lastPassAt = now
    const promptTokens = this.request.promptTokens.length
    if (this.#emitted.length === 0) this.events.push({ type: 'prefill-end', promptTokens })
    const { tokens, rootPosition } = this.sequence!
    await this.#take([token], [tokens[rootPosition - 1]!], [0])
    if (this.#isOver) this.#resolve()
  }

  async takeCycle(cycle: SpeculationCycle): Promise<void> {
    const { tree, verdict, emitted } = cycle
    const now = performance.now()
    const totalMs = now - this.lastPassAt
    this.lastPassAt = now
    this.events.push({ type: 'draft-verified', tree, verdict })
    const path = Array.from(verdict.path, (node) => tree.tokens[node]!)
    const taken = await this.#take(emitted, path, verdict.path)
    this.#statistics.add(cycle, taken, totalMs)
    if (this.#isOver) this.#resolve()
  }

  fail(error: unknown): void {
    if (this.#isOver) return
    this.#end()
    this.events.fail(error)
    this.#settle.reject(error)
  }

  #choose(pass: TargetPass): TargetChoices {
    this.#chooser = createTargetChooser({ sampler: this.request.sampler, ...pass })
    return this.#chooser
  }

  /**
   * Takes emitted tokens up to the end of the output.
   *
   * @param path tokens from the root, which is no part of `emitted`, to the last accepted node
   * @param nodes the nodes of `path`
   * @returns how many emitted tokens were taken, a stop token among them
   */
  async #take(emitted: readonly Token[], path: readonly Token[], nodes: ArrayLike<number>): Promise<number> {
    const { maxTokens, stopTokens, topLogProbs } = this.request
    const tokens: Token[] = []
    let text = ''
    let taken = 0
    while (taken < emitted.length && this.#finishReason === undefined) {
      const token = emitted[taken]!
      taken += 1
      if (stopTokens.has(token)) {
        this.#finishReason = 'stop'
        break
      }
      if (topLogProbs !== undefined) {
        const query = { token, top: topLogProbs }
        this.#logProbs.push(await this.#chooser!.logProbs(nodes[taken - 1]!, path.slice(0, taken), query))
      }
      this.#emitted.push(token)
      tokens.push(token)
      text += this.#output.push(token)
      if (this.#output.isStopped) this.#finishReason = 'stop'
      else if (this.#emitted.length >= maxTokens) this.#finishReason = 'length'
    }
    if (this.#finishReason !== undefined) text += this.#output.finish()
    this.#firstTokenMs ??= performance.now() - this.#startedAt
    if (tokens.length > 0 || text !== '') this.events.push({ type: 'text-delta', text, tokens })
    if (this.#finishReason !== undefined) this.#end()
    return taken
  }

  #end(): void {
    this.#isOver = true
    this.#unlisten()
  }

  #resolve(): void {
    const result = this.#makeResult()
    this.events.push({ type: 'finish', result })
    this.events.close()
    this.#settle.resolve(result)
  }

  #makeResult(): GenerationResult {
    const { promptTokens, sampler, topLogProbs } = this.request
    const speculation = this.#statistics.result
    return {
      text: this.#output.text,
      tokens: Uint32Array.from(this.#emitted),
      finishReason: this.#finishReason!,
      usage: {
        promptTokens: promptTokens.length,
        completionTokens: this.#emitted.length,
        cachedTokens: this.cachedTokens ?? 0,
      },
      timings: {
        prefillMs: this.#prefillMs!,
        firstTokenMs: this.#firstTokenMs!,
        decodeMs: this.#statistics.totalMs,
        totalMs: performance.now() - this.#startedAt,
      },
      seed: sampler.rule.seed,
      speculation,
      ...(topLogProbs !== undefined && { logProbs: this.#logProbs }),
    }
  }
}
