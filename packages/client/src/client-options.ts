import { checkNumber, checkOptionKeys, InvalidArgumentError } from '@hass-engine/core'
import type { Dispatcher } from 'undici'

/** What speaks at the other end; it decides the requests' form and which options can be honoured. */
export const serverKinds = ['sglang', 'vllm', 'openai', 'hass'] as const
export type ServerKind = (typeof serverKinds)[number]

/** Milliseconds; `Infinity` sets no limit. */
export interface TimeoutOptions {
  /** Until a connection stands; of the client's own connections. Defaults to 10 000. */
  readonly connectMs?: number
  /** From a request to the head of its answer. Defaults to 60 000. */
  readonly headersMs?: number
  /** From there to the first text or token. Defaults to 300 000: long prompts, full queues. */
  readonly firstTokenMs?: number
  /** Between two pieces of text; keep-alive comments do not count. Defaults to 60 000. */
  readonly betweenTokensMs?: number
  /** The whole call, retries and waiting included. Defaults to 1 800 000. */
  readonly totalMs?: number
}

export interface RetryOptions {
  /** Repetitions of one call. Defaults to 3; 0 for none. */
  readonly maxRetries?: number
  /** The first wait is between half of it and all of it, and each following one up to twice as long. Defaults to 500. */
  readonly baseMs?: number
  /** Longest wait that is not asked for by the server. Defaults to 8 000. */
  readonly maxMs?: number
  /** Longest wait that a server's `Retry-After` gets. Defaults to 60 000. */
  readonly maxRetryAfterMs?: number
  /** Uniform in [0, 1): how long to wait within the bounds. Defaults to `Math.random`. */
  readonly random?: () => number
}

/** What a server may send. Bytes are counted before anything is made of them. */
export interface LimitOptions {
  /** A whole answer, or the text of a stream. Defaults to 64 MiB. */
  readonly maxBodyBytes?: number
  /** One event of a stream. Defaults to 8 MiB: SGLang repeats the whole text in each. */
  readonly maxEventBytes?: number
  /** An answer with features. Defaults to 480 MiB, about the longest text that Node can hold. */
  readonly maxFeatureBytes?: number
  /** Requests under way at once; more wait for their turn, in order. Defaults to 64. */
  readonly maxConcurrency?: number
  /** Redirects that one call follows. Defaults to 3. */
  readonly maxRedirects?: number
}

export interface ClientOptions {
  /** Where the server is, with or without `/v1` at its end: `http://127.0.0.1:30000`. */
  readonly baseURL: string
  readonly server: ServerKind
  /** Which of the server's models. Defaults to `default`, which SGLang takes for its own; vLLM needs the right name. */
  readonly model?: string
  /** Sent as `Authorization: Bearer …` to the origin of `baseURL`, and to no other. */
  readonly apiKey?: string
  /** Further headers, for that origin only. */
  readonly headers?: Readonly<Record<string, string>>
  readonly timeouts?: TimeoutOptions
  readonly retries?: RetryOptions
  readonly limits?: LimitOptions
  /** A dispatcher of undici to bring one's own (proxy, mock, pool); it is not closed. Defaults to a pool of its own. */
  readonly dispatcher?: Dispatcher
  /**
   * Read the server's counters before and after each request, where its answers say nothing about speculation (vLLM).
   * Right only while nobody else uses the server; requests of this client that overlap report none. Defaults to false.
   */
  readonly measuresSpeculation?: boolean
}

/** Every option with its value. */
export interface ClientSettings {
  /** Without `/v1`, without a slash at the end. */
  readonly rootUrl: string
  readonly origin: string
  readonly server: ServerKind
  readonly model: string
  /** Of the first origin only. */
  readonly headers: Readonly<Record<string, string>>
  readonly timeouts: Required<TimeoutOptions>
  readonly retries: Required<RetryOptions>
  readonly limits: Required<LimitOptions>
  readonly dispatcher: Dispatcher | undefined
  readonly measuresSpeculation: boolean
}

/** What Node's timers can count. */
const maxTimerMs = 2 ** 31 - 1

const defaultTimeouts: Required<TimeoutOptions> = {
  connectMs: 10_000,
  headersMs: 60_000,
  firstTokenMs: 300_000,
  betweenTokensMs: 60_000,
  totalMs: 1_800_000,
}
const defaultRetries: Required<RetryOptions> = {
  maxRetries: 3,
  baseMs: 500,
  maxMs: 8_000,
  maxRetryAfterMs: 60_000,
  random: Math.random,
}
const defaultLimits: Required<LimitOptions> = {
  maxBodyBytes: 64 * 2 ** 20,
  maxEventBytes: 8 * 2 ** 20,
  maxFeatureBytes: 480 * 2 ** 20,
  maxConcurrency: 64,
  maxRedirects: 3,
}
const optionKeys = [
  'baseURL',
  'server',
  'model',
  'apiKey',
  'headers',
  'timeouts',
  'retries',
  'limits',
  'dispatcher',
  'measuresSpeculation',
]

/** @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT` */
export function checkClientOptions(options: ClientOptions): ClientSettings {
  checkOptionKeys(options, optionKeys, 'createClient')
  const { server, model = 'default', apiKey, headers = {}, dispatcher, measuresSpeculation = false } = options
  if (!serverKinds.includes(server)) {
    throw new InvalidArgumentError(`server is ${JSON.stringify(server)}, expected one of ${serverKinds.join(', ')}.`, {
      server,
      known: serverKinds,
    })
  }
  if (typeof model !== 'string' || model === '') throw new InvalidArgumentError('model is empty, expected a name.')
  return {
    ...checkBaseUrl(options.baseURL),
    server,
    model,
    headers: { ...checkHeaders(headers), ...(apiKey !== undefined && authorization(apiKey)) },
    timeouts: checkTimeouts(options.timeouts),
    retries: checkRetries(options.retries),
    limits: checkLimits(options.limits),
    dispatcher,
    measuresSpeculation,
  }
}

function checkBaseUrl(baseURL: unknown): Pick<ClientSettings, 'rootUrl' | 'origin'> {
  const url = typeof baseURL === 'string' && URL.canParse(baseURL) ? new URL(baseURL) : undefined
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new InvalidArgumentError(
      `baseURL is ${JSON.stringify(baseURL)}, expected an http or https URL such as http://127.0.0.1:30000.`,
    )
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new InvalidArgumentError(
      'baseURL has credentials, a query or a fragment, expected none: keys belong in apiKey.',
    )
  }
  const path = url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')
  return { rootUrl: url.origin + path, origin: url.origin }
}

function authorization(apiKey: unknown): Record<string, string> {
  if (typeof apiKey === 'string' && /^[\x21-\x7e]+$/.test(apiKey)) return { authorization: `Bearer ${apiKey}` }
  // The key itself stays out of the message.
  throw new InvalidArgumentError('apiKey is empty or has characters that a header cannot carry.')
}

function checkHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => {
    const isHeader = /^[\w!#$%&'*+.^`|~-]+$/.test(name) && typeof value === 'string' && /^[\t\x20-\x7e]*$/.test(value)
    if (!isHeader) throw new InvalidArgumentError(`headers has ${JSON.stringify(name)}, which is no header of HTTP.`)
    return [name.toLowerCase(), value] as const
  })
  return Object.fromEntries(entries)
}

function checkTimeouts(timeouts: TimeoutOptions = {}): Required<TimeoutOptions> {
  checkOptionKeys(timeouts, Object.keys(defaultTimeouts), 'timeouts')
  const settings = { ...defaultTimeouts, ...timeouts }
  for (const [name, ms] of Object.entries(settings)) {
    if (ms !== Infinity) checkNumber(ms, `timeouts.${name}`, { min: 1, max: maxTimerMs })
  }
  return settings
}

function checkRetries(retries: RetryOptions = {}): Required<RetryOptions> {
  checkOptionKeys(retries, Object.keys(defaultRetries), 'retries')
  const settings = { ...defaultRetries, ...retries }
  checkNumber(settings.maxRetries, 'retries.maxRetries', { min: 0, max: 100, isInteger: true })
  for (const name of ['baseMs', 'maxMs', 'maxRetryAfterMs'] as const) {
    checkNumber(settings[name], `retries.${name}`, { min: 0, max: maxTimerMs })
  }
  if (typeof settings.random !== 'function') throw new InvalidArgumentError('retries.random is not a function.')
  return settings
}

function checkLimits(limits: LimitOptions = {}): Required<LimitOptions> {
  checkOptionKeys(limits, Object.keys(defaultLimits), 'limits')
  const settings = { ...defaultLimits, ...limits }
  for (const name of ['maxBodyBytes', 'maxEventBytes', 'maxFeatureBytes', 'maxConcurrency'] as const) {
    checkNumber(settings[name], `limits.${name}`, { min: 1, max: 2 ** 53 - 1, isInteger: true })
  }
  checkNumber(settings.maxRedirects, 'limits.maxRedirects', { min: 0, max: 20, isInteger: true })
  return settings
}
