import { checkNumber, type Token } from '@hass-engine/core'
import type { ClientSettings } from './client-options.js'
import { ResponseError, UnsupportedOptionError } from './errors.js'
import { CallClock } from './http/call-clock.js'
import type { HttpClient } from './http/http-client.js'
import {
  arrayField,
  asToken,
  countField,
  type JsonObject,
  objectField,
  parseObject,
  refuse,
  tokensField,
} from './wire/json.js'
import { throwReportedError } from './wire/openai.js'

/** A text and what the target made of it: what a trainer of draft heads learns from. */
export interface TextFeatures {
  /** `[T]` */
  readonly tokens: Uint32Array
  /** `[T, E] float32`, row-major: the target's last hidden state behind its final norm, at each token. */
  readonly features: Float32Array
  /** E */
  readonly hiddenSize: number
}

/** A text that the target continued, with its features. */
export interface ContinuedText {
  /** `[T]`, prompt and response; the token that ended it is part of it. */
  readonly tokens: Uint32Array
  /** `[T - 1, E] float32`, of every token but the last, which nothing has read. */
  readonly features: Float32Array
}

export interface ContinueRequest {
  /** The prompt. */
  readonly tokens: Uint32Array
  readonly maxTokens: number
  /** 0 means arg max. */
  readonly temperature: number
  /** SGLang's randomness is its own: the seed's lower 53 bits, obeyed with `--enable-deterministic-inference`. */
  readonly seed: bigint
  /** Tokens after one of which the response ends. */
  readonly endTokens: readonly Token[]
  readonly signal?: AbortSignal
}

/** The seam at which a trainer of draft heads takes texts and features, whatever computes them. */
export interface RemoteFeatureSource<Identity> {
  /** Which target the server runs, in the trainer's terms: it cannot be told from here. */
  readonly identity: Identity
  /** Longest sequence, in tokens. */
  readonly maxContext: number
  respond(request: ContinueRequest): Promise<ContinuedText>
  /** `[T - 1, E] float32`, of every token but the last. */
  readFeatures(tokens: Uint32Array, signal?: AbortSignal): Promise<Float32Array>
}

/**
 * Reads features from SGLang's `/generate` with `return_hidden_states` (examples/runtime/hidden_states). The server
 * must run with `--enable-return-hidden-states --disable-radix-cache --chunked-prefill-size -1` and without speculation:
 * it returns rows of what it computes, and slices them wrongly where a part of the prompt came from its cache.
 */
export class FeatureReader {
  constructor(
    private readonly http: HttpClient,
    private readonly settings: ClientSettings,
  ) {}

  /** @throws UnsupportedOptionError for another kind of server, ResponseError if rows are missing */
  async read(tokens: ArrayLike<Token>, signal?: AbortSignal): Promise<TextFeatures> {
    checkNumber(tokens?.length, 'tokens.length', { min: 1, isInteger: true })
    const ids = Uint32Array.from(tokens)
    // One token is generated, and thrown away.
    const meta = await this.#generate(ids, { max_new_tokens: 1, temperature: 0, ignore_eos: true }, signal)
    return { tokens: ids, ...rowsOf(meta, ids.length) }
  }

  /** @throws UnsupportedOptionError, ResponseError */
  async continue(request: ContinueRequest): Promise<ContinuedText> {
    const { tokens, maxTokens, temperature, seed, endTokens, signal } = request
    const parameters = {
      max_new_tokens: maxTokens,
      temperature,
      top_p: 1,
      top_k: -1,
      min_p: 0,
      repetition_penalty: 1,
      sampling_seed: Number(BigInt.asUintN(53, seed)),
      stop_token_ids: endTokens,
    }
    const answer = await this.#generate(tokens, parameters, signal)
    const response = responseOf(answer)
    const whole = Uint32Array.from([...tokens, ...response])
    return { tokens: whole, features: rowsOf(answer, whole.length - 1).features }
  }

  async #generate(tokens: Uint32Array, samplingParams: JsonObject, signal?: AbortSignal): Promise<JsonObject> {
    const { server, timeouts, limits } = this.settings
    if (server !== 'sglang') {
      throw new UnsupportedOptionError('a reading of features', server, 'only SGLang returns hidden states')
    }
    // The answer comes at once, when the last token has been generated.
    using clock = new CallClock(timeouts.totalMs, signal ? [signal] : [])
    const json = { input_ids: [...tokens], sampling_params: samplingParams, return_hidden_states: true }
    const call = {
      method: 'POST',
      path: '/generate',
      json,
      accept: 'application/json',
      clock,
      headersMs: Infinity,
    } as const
    const answer = parseObject(await this.http.sendForText(call, limits.maxFeatureBytes), 'The answer')
    throwReportedError(answer)
    return answer
  }
}

function metaOf(answer: JsonObject): JsonObject {
  return objectField(answer, 'meta_info') ?? refuse('meta_info', 'an object', undefined)
}

/** The response's tokens; some versions leave out the token that ended it, and name it. */
function responseOf(answer: JsonObject): readonly Token[] {
  const meta = metaOf(answer)
  const ids = tokensField(answer, 'output_ids') ?? refuse('output_ids', 'token ids', undefined)
  const count = countField(meta, 'completion_tokens')
  if (ids.length === count) return ids
  const matched = objectField(meta, 'finish_reason')?.matched
  if (typeof matched === 'number' && ids.length + 1 === count) return [...ids, asToken(matched, 'matched')]
  return refuse('output_ids', `${count} tokens`, ids.length)
}

/**
 * The first `count` rows of an answer's hidden states.
 *
 * They come as a list per pass: that of the prefill holds the prompt's rows, those of decode steps are rows themselves.
 */
function rowsOf(answer: JsonObject, count: number): Pick<TextFeatures, 'features' | 'hiddenSize'> {
  const meta = metaOf(answer)
  const cached = countField(meta, 'cached_tokens') ?? 0
  if (cached > 0) {
    throw new ResponseError(
      `${cached} tokens came from the server's cache, which has no features: start it with --disable-radix-cache.`,
      { cached },
    )
  }
  const states = arrayField(meta, 'hidden_states')
  if (!states) {
    throw new ResponseError('The answer has no hidden states: start the server with --enable-return-hidden-states.')
  }
  const rows = states.flatMap((state) => {
    if (!Array.isArray(state)) return refuse('hidden_states', 'rows', state)
    return Array.isArray(state[0]) ? (state as unknown[][]) : [state as unknown[]]
  })
  const hiddenSize = rows[0]?.length ?? 0
  if (rows.length < count || hiddenSize === 0) {
    throw new ResponseError(
      `The answer has hidden states of ${rows.length} tokens, expected ${count}: start the server with --chunked-prefill-size -1 and without speculation.`,
      { found: rows.length, expected: count },
    )
  }
  const features = new Float32Array(count * hiddenSize)
  for (const [t, row] of rows.slice(0, count).entries()) {
    if (row.length !== hiddenSize || !row.every((value) => Number.isFinite(value))) {
      refuse(`hidden_states[${t}]`, `${hiddenSize} finite numbers`, row.slice(0, 4))
    }
    features.set(row as number[], t * hiddenSize)
  }
  return { features, hiddenSize }
}
