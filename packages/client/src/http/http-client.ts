import { DisposedError } from '@hass-engine/core'
import { Agent, type Dispatcher, request } from 'undici'
import type { ClientSettings } from '../client-options.js'
import { ConnectionError, HttpStatusError, RedirectError, ResponseError, TimeoutError } from '../errors.js'
import { type Body, readExcerpt, readText } from './body.js'
import type { CallClock } from './call-clock.js'
import { isRetryableStatus, parseRetryAfter, withRetries } from './retry.js'
import { Turns } from './turns.js'

export interface HttpCall {
  readonly method: 'GET' | 'POST'
  /** Below the server's root: `/v1/completions`. */
  readonly path: string
  /** Sent as JSON. */
  readonly json?: unknown
  /** What the answer must be. */
  readonly accept: 'application/json' | 'text/event-stream' | 'text/plain'
  readonly clock: CallClock
  /** Defaults to `timeouts.headersMs`. */
  readonly headersMs?: number
}

/** An answer of success whose body is still to come. */
export interface HttpAnswer {
  readonly url: string
  readonly contentType: string
  readonly body: Body
  /** Gives the turn back: to be called once nothing more of the body is read. */
  release(): void
}

interface Hop {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

/** Calls of one server: pooled, limited, repeated and redirected with care. */
export class HttpClient {
  readonly #settings: ClientSettings
  readonly #dispatcher: Dispatcher
  readonly #turns: Turns
  #isClosed = false

  constructor(settings: ClientSettings) {
    const { timeouts, limits } = settings
    this.#settings = settings
    this.#turns = new Turns(limits.maxConcurrency)
    this.#dispatcher =
      settings.dispatcher ??
      new Agent({
        connections: limits.maxConcurrency,
        connect: { timeout: timeouts.connectMs === Infinity ? 0 : timeouts.connectMs },
        // The phases of a call have their own timers.
        headersTimeout: 0,
        bodyTimeout: 0,
      })
  }

  /** Ends what is under way. A dispatcher that was brought along stays open. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    if (!this.#settings.dispatcher) await this.#dispatcher.destroy(new DisposedError('The client'))
  }

  /**
   * Sends a request and waits for the head of its answer.
   *
   * A POST is repeated only where no connection stood, or where the answer says that nothing was begun: never once an
   * answer of success has begun, and not after a connection broke, for the server may be at work.
   *
   * @throws HttpStatusError, ConnectionError, TimeoutError, RedirectError, ResponseError; the reason of `clock`
   */
  async send(call: HttpCall): Promise<HttpAnswer> {
    if (this.#isClosed) throw new DisposedError('The client')
    const release = await this.#turns.take(call.clock.signal)
    try {
      const answer = await withRetries(() => this.#attempt(call), this.#settings.retries, call.clock)
      return { ...answer, release }
    } catch (error) {
      release()
      throw error
    }
  }

  /** Sends a request and reads its whole answer as text, at most `maxBytes` of it. */
  async sendForText(call: HttpCall, maxBytes = this.#settings.limits.maxBodyBytes): Promise<string> {
    const { body, release } = await this.send(call)
    try {
      return await readText(body, maxBytes, call.clock, this.#settings.timeouts.betweenTokensMs)
    } finally {
      release()
    }
  }

  async #attempt(call: HttpCall): Promise<Omit<HttpAnswer, 'release'>> {
    const { timeouts, limits, rootUrl, headers } = this.#settings
    const json = call.json === undefined ? undefined : JSON.stringify(call.json)
    let hop: Hop = {
      url: new URL(rootUrl + call.path),
      method: call.method,
      // What is not compressed cannot unfold.
      headers: {
        accept: call.accept,
        'accept-encoding': 'identity',
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      body: json,
    }
    call.clock.enter('headers', call.headersMs ?? timeouts.headersMs)
    for (let redirects = 0; ; redirects++) {
      const response = await this.#request(hop, call.clock)
      const url = hop.url.origin + hop.url.pathname
      if (response.statusCode >= 300 && response.statusCode < 400) {
        const next = this.#redirect(hop, response, call)
        response.body.destroy()
        if (redirects >= limits.maxRedirects) {
          throw new RedirectError(`${url} redirects once more after ${redirects} redirects.`, { url, redirects })
        }
        hop = next
        continue
      }
      if (response.statusCode < 200 || response.statusCode >= 300) throw await statusError(response, url, call.clock)
      const encoding = headerOf(response, 'content-encoding') ?? 'identity'
      if (encoding !== 'identity') {
        response.body.destroy()
        throw new ResponseError(
          `${url} answered with Content-Encoding ${encoding.slice(0, 80)}, expected none: compression was declined.`,
          { url, encoding: encoding.slice(0, 80) },
        )
      }
      return { url, contentType: headerOf(response, 'content-type') ?? '', body: response.body }
    }
  }

  async #request({ url, method, headers, body }: Hop, clock: CallClock): Promise<Dispatcher.ResponseData> {
    try {
      const response = await request(url, {
        dispatcher: this.#dispatcher,
        method,
        headers,
        body: body ?? null,
        signal: clock.signal,
      })
      // Whoever reads the body sees its failure; a body that is thrown away may fail in silence.
      response.body.on('error', () => {})
      return response
    } catch (error) {
      clock.signal.throwIfAborted()
      throw this.#describeFailure(error, url.origin, method)
    }
  }

  #describeFailure(error: unknown, origin: string, method: 'GET' | 'POST'): unknown {
    const { code } = error as NodeJS.ErrnoException
    if (this.#isClosed) return new DisposedError('The client')
    if (code === 'UND_ERR_CONNECT_TIMEOUT') return new TimeoutError('connect', this.#settings.timeouts.connectMs, error)
    const failure = new ConnectionError(origin, error)
    const mayHaveBegun = method === 'POST' && !neverConnected.has(code ?? '')
    return mayHaveBegun ? Object.assign(failure, { isRetryable: false }) : failure
  }

  #redirect(hop: Hop, response: Dispatcher.ResponseData, call: HttpCall): Hop {
    const status = response.statusCode
    const location = headerOf(response, 'location')
    const from = hop.url.origin + hop.url.pathname
    const refuse = (why: string): never => {
      response.body.destroy()
      throw new RedirectError(`${from} redirects with status ${status} ${why}.`, { from, status })
    }
    if (location === undefined || !URL.canParse(location, hop.url.href)) return refuse('to no URL')
    const url = new URL(location, hop.url.href)
    if (url.protocol !== 'http:' && url.protocol !== 'https:')
      return refuse(`to ${url.protocol}, expected http or https`)
    if (hop.url.protocol === 'https:' && url.protocol === 'http:') return refuse('from https to http')
    const keepsMethod = status === 307 || status === 308
    if (call.method === 'POST' && !keepsMethod) {
      return refuse(`to ${url.origin}, which would drop the request's body; set baseURL to where the server is`)
    }
    if (!keepsMethod && status !== 301 && status !== 302 && status !== 303) return refuse('which is none to follow')
    url.username = ''
    url.password = ''
    // Keys and the user's own headers are for the first origin alone, and do not come back on the way.
    const headers = url.origin === hop.url.origin ? hop.headers : withoutOwn(hop.headers, this.#settings.headers)
    return { ...hop, url, headers }
  }
}

/** Failures before a connection stood: no server has seen anything of the request. */
const neverConnected: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
])

function withoutOwn(headers: Hop['headers'], own: Readonly<Record<string, string>>): Hop['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !(name in own)))
}

function headerOf({ headers }: Dispatcher.ResponseData, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}

async function statusError(response: Dispatcher.ResponseData, url: string, clock: CallClock): Promise<HttpStatusError> {
  const bodyExcerpt = await readExcerpt(response.body)
  clock.signal.throwIfAborted()
  const status = response.statusCode
  const retryAfterMs = parseRetryAfter(headerOf(response, 'retry-after'), Date.now())
  return new HttpStatusError({
    status,
    bodyExcerpt,
    isRetryable: isRetryableStatus(status),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    url,
  })
}
