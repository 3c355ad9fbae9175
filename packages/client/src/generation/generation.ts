import type {
  FinishReason,
  GenerationEvent,
  GenerationResult,
  GenerationTimings,
  SpeculationStatistics,
  TokenLogProbs,
} from '@hass-engine/core'
import type { LimitOptions } from '../client-options.js'
import { ResponseSizeError, ServerError, StreamTruncatedError } from '../errors.js'
import type { Chunk } from '../wire/chunk.js'
import type { GenerationRequest } from '../wire/generation-request.js'
import { StopGuard } from './stop-guard.js'

/** Puts the pieces of one generation together, whatever server they come from. */
export class Generation {
  readonly #request: GenerationRequest
  readonly #limits: Required<LimitOptions>
  readonly #guard: StopGuard
  readonly #startedAt = performance.now()
  #firstAt: number | undefined
  #lastAt: number | undefined
  #text = ''
  #hasPrefillEnded = false
  readonly #tokens: number[] = []
  readonly #logProbs: TokenLogProbs[] = []
  #known: Pick<
    Chunk,
    'promptTokens' | 'completionTokens' | 'cachedTokens' | 'finishReason' | 'speculation' | 'seed' | 'timings'
  > = {}

  constructor(request: GenerationRequest, limits: Required<LimitOptions>) {
    this.#request = request
    this.#limits = limits
    this.#guard = new StopGuard(request.stops)
  }

  get text(): string {
    return this.#text
  }

  get tokens(): readonly number[] {
    return this.#tokens
  }

  /** True once the server has said why the text ends. */
  get isFinished(): boolean {
    return this.#known.finishReason !== undefined
  }

  /**
   * Takes what one event added; yields what it means to a reader.
   *
   * @throws ResponseError, ResponseSizeError
   */
  *take(chunk: Chunk): Generator<GenerationEvent> {
    const { text, takenBack = 0, endsInStop, tokens = [], logProbs = [], isProgress: _, ...known } = chunk
    this.#known = { ...this.#known, ...known }
    if (isWork(chunk)) {
      this.#lastAt = performance.now()
      this.#firstAt ??= this.#lastAt
    }
    const { promptTokens } = this.#known
    if (!this.#hasPrefillEnded && this.#firstAt !== undefined && promptTokens !== undefined) {
      this.#hasPrefillEnded = true
      yield { type: 'prefill-end', promptTokens }
    }
    this.#guard.takeBack(takenBack)
    let fresh = this.#guard.push(text ?? '')
    if (known.finishReason !== undefined) {
      const held = this.#guard.finish()
      if (!endsInStop) fresh += held
    }
    for (const token of tokens) this.#tokens.push(token)
    for (const entry of logProbs) this.#logProbs.push(entry)
    this.#text += fresh
    if (this.#text.length > this.#limits.maxBodyBytes) {
      throw new ResponseSizeError('The text of the stream', 'maxBodyBytes', this.#limits.maxBodyBytes)
    }
    if (fresh !== '' || tokens.length > 0) yield { type: 'text-delta', text: fresh, tokens: [...tokens] }
  }

  /**
   * The whole, once the stream has ended.
   *
   * @param measured what counters beside the stream say of speculation
   * @throws StreamTruncatedError, ServerError
   */
  finish(measured?: SpeculationStatistics): GenerationResult {
    const {
      promptTokens,
      completionTokens,
      cachedTokens,
      seed = this.#request.seed,
      speculation = measured,
    } = this.#known
    return {
      text: this.#text,
      tokens: Uint32Array.from(this.#tokens),
      finishReason: this.#finishReason(),
      usage: {
        // Where a server does not count, nobody has: NaN is no number to go on with by mistake.
        promptTokens: promptTokens ?? this.#request.tokens?.length ?? Number.NaN,
        completionTokens: completionTokens ?? (this.#tokens.length || Number.NaN),
        ...(cachedTokens !== undefined && { cachedTokens }),
      },
      timings: this.#timings(),
      ...(seed !== undefined && { seed: BigInt(seed) }),
      ...(speculation && { speculation }),
      ...(this.#request.topLogProbs !== undefined && { logProbs: this.#logProbs }),
    }
  }

  #finishReason(): FinishReason {
    const { finishReason } = this.#known
    if (finishReason !== undefined && this.#guard.isStopped) return 'stop'
    if (finishReason === 'stop' || finishReason === 'length') return finishReason
    if (finishReason === undefined) throw new StreamTruncatedError('it ended without a finish_reason')
    throw new ServerError(`The server ended the text for a reason of its own: ${finishReason.slice(0, 100)}.`, {
      finishReason,
    })
  }

  /** Of the server, where it tells them; else as seen from here, the network included. */
  #timings(): GenerationTimings {
    const since = (from: number, to = performance.now()) => to - from
    return (
      this.#known.timings ?? {
        ...(this.#firstAt !== undefined && {
          firstTokenMs: since(this.#startedAt, this.#firstAt),
          decodeMs: since(this.#firstAt, this.#lastAt),
        }),
        totalMs: since(this.#startedAt),
      }
    )
  }
}

/** True if a server has done something for the text: an event may hold nothing but a role. */
export function isWork({ text = '', tokens = [], isProgress = false }: Chunk): boolean {
  return isProgress || text !== '' || tokens.length > 0
}
