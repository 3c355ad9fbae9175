import type {
  GenerateOptions,
  GenerationResult,
  GenerationStream,
  SpeculationStatistics,
  TextGenerator,
  Token,
} from '@hass-engine/core'
import { type ClientOptions, type ClientSettings, checkClientOptions, type ServerKind } from './client-options.js'
import { HttpStatusError, UnsupportedOptionError } from './errors.js'
import { FeatureReader, type RemoteFeatureSource, type TextFeatures } from './feature-source.js'
import { createGenerationStream } from './generation/generation-stream.js'
import { type GenerationParts, runGeneration } from './generation/run-generation.js'
import { CallClock } from './http/call-clock.js'
import { HttpClient } from './http/http-client.js'
import { readSglangServerInfo, type ServerInfo } from './speculation/server-info.js'
import {
  readSpeculationCounters,
  type SpeculationCounters,
  speculationBetween,
} from './speculation/speculation-counters.js'
import type { WireCall } from './wire/chunk.js'
import { checkRequest, type GenerationRequest } from './wire/generation-request.js'
import { arrayField, isObject, parseObject, refuse, textField, tokensField } from './wire/json.js'
import { openAiCall } from './wire/openai.js'
import { sglangCall } from './wire/sglang.js'
import { checkSupported } from './wire/supported-options.js'

/** A server as a text generator, and what else it can tell. Dispose it, or its connections keep the process alive. */
export interface Client extends TextGenerator, AsyncDisposable {
  readonly server: ServerKind
  generateText(options: GenerateOptions): Promise<GenerationResult>
  streamText(options: GenerateOptions): GenerationStream
  /** Names of the models that the server offers (`/v1/models`). */
  listModels(signal?: AbortSignal): Promise<string[]>
  /** What the server says of itself and its speculation. @throws UnsupportedOptionError for kinds but `sglang` */
  readServerInfo(signal?: AbortSignal): Promise<ServerInfo>
  /** What the server has counted (`/metrics`; SGLang needs `--enable-metrics`). See `speculationBetween`. */
  readSpeculationCounters(signal?: AbortSignal): Promise<SpeculationCounters>
  /** The target's features of a text; see the README for how the server must run. `sglang` alone has them. */
  readFeatures(tokens: ArrayLike<Token>, signal?: AbortSignal): Promise<TextFeatures>
  /** The same as a trainer takes them: a `FeatureSource` of `@hass-engine/trainer`. */
  featureSource<Identity>(facts: {
    readonly identity: Identity
    readonly maxContext: number
  }): RemoteFeatureSource<Identity>
}

/**
 * A client of one server.
 *
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT`
 */
export function createClient(options: ClientOptions): Client {
  return new ServerClient(checkClientOptions(options))
}

class ServerClient implements Client {
  readonly server: ServerKind
  readonly #settings: ClientSettings
  readonly #http: HttpClient
  /** Unknown until it was tried: older versions of SGLang tokenize plain prompts only. */
  #tokenizesMessages: boolean | undefined
  readonly #features: FeatureReader
  readonly #refusedFields = new Set<string>()
  /** Generations under way, and how many have begun: counters tell of a request only where it was alone. */
  #running = 0
  #begun = 0

  constructor(settings: ClientSettings) {
    this.server = settings.server
    this.#settings = settings
    this.#http = new HttpClient(settings)
    this.#features = new FeatureReader(this.#http, settings)
  }

  async generateText(options: GenerateOptions): Promise<GenerationResult> {
    const stream = this.streamText(options)
    // Nobody reads the events: they are not kept either.
    for await (const _ of stream);
    return stream.result
  }

  streamText(options: GenerateOptions): GenerationStream {
    const stream = createGenerationStream(async (left, events) => {
      const request = checkRequest(options)
      checkSupported(request, this.server)
      this.#running += 1
      this.#begun += 1
      try {
        const signals = request.signal ? [request.signal, left] : [left]
        return await runGeneration(this.#partsOf(request), signals, events)
      } finally {
        this.#running -= 1
      }
    })
    // Whoever reads the events need not read the result too.
    stream.result.catch(() => {})
    return stream
  }

  async listModels(signal?: AbortSignal): Promise<string[]> {
    const answer = parseObject(await this.#get('/v1/models', signal), 'The list of models')
    const models = arrayField(answer, 'data') ?? refuse('data', 'an array', undefined)
    return models.map(
      (model) => (isObject(model) && textField(model, 'id')) || refuse('data', 'models with an id', model),
    )
  }

  async readServerInfo(signal?: AbortSignal): Promise<ServerInfo> {
    if (this.server !== 'sglang') {
      throw new UnsupportedOptionError(
        'readServerInfo',
        this.server,
        'only SGLang tells it; see readSpeculationCounters',
      )
    }
    const text = await this.#get('/server_info', signal).catch((error: unknown) => {
      // Its name until 2025.
      if (error instanceof HttpStatusError && error.status === 404) return this.#get('/get_server_info', signal)
      throw error
    })
    return readSglangServerInfo(parseObject(text, 'The server’s description'))
  }

  async readSpeculationCounters(signal?: AbortSignal): Promise<SpeculationCounters> {
    return readSpeculationCounters(await this.#get('/metrics', signal, 'text/plain'))
  }

  readFeatures(tokens: ArrayLike<Token>, signal?: AbortSignal): Promise<TextFeatures> {
    return this.#features.read(tokens, signal)
  }

  featureSource<Identity>(facts: { identity: Identity; maxContext: number }): RemoteFeatureSource<Identity> {
    return {
      ...facts,
      respond: (request) => this.#features.continue(request),
      readFeatures: async (tokens, signal) => {
        const { features, hiddenSize } = await this.#features.read(tokens, signal)
        return features.subarray(0, features.length - hiddenSize)
      },
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#http.close()
  }

  #partsOf(request: GenerationRequest): GenerationParts {
    return {
      http: this.#http,
      settings: this.#settings,
      request,
      refusedFields: this.#refusedFields,
      createCall: (checked, clock) => this.#createCall(checked, clock),
      measure: this.#settings.measuresSpeculation ? (clock) => this.#measure(clock) : undefined,
    }
  }

  async #createCall(request: GenerationRequest, clock: CallClock): Promise<WireCall> {
    if (this.server !== 'sglang') return openAiCall(request, this.#settings)
    if (!request.messages) return sglangCall(request)
    const tokens = await this.#tokenizeMessages(request, clock)
    if (tokens) return sglangCall({ ...request, tokens })
    if (request.topLogProbs === undefined) return openAiCall(request, this.#settings)
    throw new UnsupportedOptionError(
      'topLogProbs together with messages',
      this.server,
      'this version names tokens of chats by their texts; give it tokens',
    )
  }

  /**
   * The conversation as the server's template renders it. SGLang's `/generate` tells tokens and speculation in its
   * stream, its chat does not.
   *
   * @returns nothing if the server's version does not tokenize conversations
   */
  async #tokenizeMessages(request: GenerationRequest, clock: CallClock): Promise<readonly Token[] | undefined> {
    if (this.#tokenizesMessages === false) return undefined
    const json = { model: this.#settings.model, messages: request.messages }
    try {
      const call = { method: 'POST', path: '/v1/tokenize', json, accept: 'application/json', clock } as const
      const answer = parseObject(await this.#http.sendForText(call), 'The answer of /v1/tokenize')
      const tokens = tokensField(answer, 'tokens')
      if (!tokens || tokens.length === 0) refuse('tokens', 'token ids', answer.tokens)
      this.#tokenizesMessages = true
      return tokens
    } catch (error) {
      const isMissing = error instanceof HttpStatusError && [400, 404, 405, 422].includes(error.status)
      if (!isMissing || this.#tokenizesMessages) throw error
      // If it is the conversation that is wrong, the chat says so.
      if (error.status !== 400) this.#tokenizesMessages = false
      return undefined
    }
  }

  async #measure(clock: CallClock): Promise<() => Promise<SpeculationStatistics | undefined>> {
    const isAlone = this.#running === 1
    const begun = this.#begun
    const read = () => this.#readCountersWithin(clock)
    const before = await read()
    return async () => {
      if (!isAlone || this.#begun !== begun) return undefined
      return speculationBetween(before, await read())
    }
  }

  async #readCountersWithin(clock: CallClock): Promise<SpeculationCounters> {
    const page = await this.#http.sendForText({ method: 'GET', path: '/metrics', accept: 'text/plain', clock })
    return readSpeculationCounters(page)
  }

  async #get(path: string, signal?: AbortSignal, accept: 'application/json' | 'text/plain' = 'application/json') {
    using clock = new CallClock(this.#settings.timeouts.totalMs, signal ? [signal] : [])
    return await this.#http.sendForText({ method: 'GET', path, accept, clock })
  }
}
