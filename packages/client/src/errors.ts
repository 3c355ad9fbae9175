import { HassError, type HassErrorDetails } from '@hass-engine/core'

/**
 * Every code that this package throws, besides `HASS_ERR_INVALID_ARGUMENT` and `HASS_ERR_DISPOSED` of core. Permanent.
 *
 * - `HASS_ERR_CONNECTION`: no connection, or it broke before the answer began
 * - `HASS_ERR_TIMEOUT`: a phase of a call, or all of it, took longer than allowed
 * - `HASS_ERR_HTTP_STATUS`: the server answered with a status that is no success
 * - `HASS_ERR_REDIRECT`: a redirect that is not followed
 * - `HASS_ERR_RESPONSE`: an answer that is not what the server's interface promises (HTML, other JSON, compressed)
 * - `HASS_ERR_RESPONSE_SIZE`: an answer, or an event of it, is larger than allowed
 * - `HASS_ERR_SERVER`: the server reported a failure in the middle of its answer, or gave the generation up
 * - `HASS_ERR_STREAM_TRUNCATED`: a stream ended before its text was complete
 * - `HASS_ERR_UNSUPPORTED_OPTION`: an option that this kind of server cannot honour; nothing was sent
 */
export type ClientErrorCode = `HASS_ERR_${
  | 'CONNECTION'
  | 'TIMEOUT'
  | 'HTTP_STATUS'
  | 'REDIRECT'
  | 'RESPONSE'
  | 'RESPONSE_SIZE'
  | 'SERVER'
  | 'STREAM_TRUNCATED'
  | 'UNSUPPORTED_OPTION'}`

interface ClientErrorOptions {
  readonly details?: HassErrorDetails
  readonly cause?: unknown
  readonly isRetryable?: boolean
}

/** What went wrong between this client and a server; see `ClientErrorCode`. */
export class ClientError extends HassError {
  override readonly name: string = 'ClientError'
  declare readonly code: ClientErrorCode
  /** True if the same request may succeed later. */
  readonly isRetryable: boolean
  /** What had been generated when it happened. Never a result: it may end anywhere. */
  readonly partialText: string = ''
  /** The tokens of `partialText`, as far as the server told them. */
  readonly partialTokens: Uint32Array = new Uint32Array()

  constructor(code: ClientErrorCode, message: string, options: ClientErrorOptions = {}) {
    super(code, message, {
      ...(options.cause !== undefined && { cause: options.cause }),
      ...(options.details && { details: options.details }),
    })
    this.isRetryable = options.isRetryable ?? false
  }
}

export class ConnectionError extends ClientError {
  override readonly name = 'ConnectionError'
  constructor(origin: string, cause: unknown) {
    const { code, message } = cause as NodeJS.ErrnoException
    super('HASS_ERR_CONNECTION', `The connection to ${origin} failed before an answer began: ${code ?? message}.`, {
      cause,
      details: { origin, reason: code ?? message },
      isRetryable: true,
    })
  }
}

/** `connect`, `headers`, `first-token` and `between-tokens` follow one another; `total` spans them and all retries. */
export type TimeoutPhase = 'connect' | 'headers' | 'first-token' | 'between-tokens' | 'total'

export class TimeoutError extends ClientError {
  override readonly name = 'TimeoutError'
  readonly phase: TimeoutPhase
  constructor(phase: TimeoutPhase, ms: number, cause?: unknown) {
    super('HASS_ERR_TIMEOUT', `The server took longer than ${ms} ms (${phase}); raise timeouts.${optionOf[phase]}.`, {
      details: { phase, ms },
      cause,
      isRetryable: phase === 'connect',
    })
    this.phase = phase
  }
}

const optionOf: Readonly<Record<TimeoutPhase, string>> = {
  connect: 'connectMs',
  headers: 'headersMs',
  'first-token': 'firstTokenMs',
  'between-tokens': 'betweenTokensMs',
  total: 'totalMs',
}

export interface HttpStatusFacts {
  readonly status: number
  /** The beginning of the answer's body. */
  readonly bodyExcerpt: string
  readonly isRetryable: boolean
  /** What the server asked to wait, if it did. */
  readonly retryAfterMs?: number
  readonly url: string
}

export class HttpStatusError extends ClientError {
  override readonly name = 'HttpStatusError'
  readonly status: number
  readonly bodyExcerpt: string
  readonly retryAfterMs: number | undefined
  constructor({ status, bodyExcerpt, isRetryable, retryAfterMs, url }: HttpStatusFacts) {
    const said = bodyExcerpt.trim() === '' ? 'nothing' : bodyExcerpt.trim()
    super('HASS_ERR_HTTP_STATUS', `${url} answered with status ${status}: ${said}`, {
      details: { status, bodyExcerpt, isRetryable, url, ...(retryAfterMs !== undefined && { retryAfterMs }) },
      isRetryable,
    })
    this.status = status
    this.bodyExcerpt = bodyExcerpt
    this.retryAfterMs = retryAfterMs
  }
}

export class RedirectError extends ClientError {
  override readonly name = 'RedirectError'
  constructor(message: string, details: HassErrorDetails) {
    super('HASS_ERR_REDIRECT', message, { details })
  }
}

export class ResponseError extends ClientError {
  override readonly name = 'ResponseError'
  constructor(message: string, details?: HassErrorDetails, cause?: unknown) {
    super('HASS_ERR_RESPONSE', message, { ...(details && { details }), cause })
  }
}

export class ResponseSizeError extends ClientError {
  override readonly name = 'ResponseSizeError'
  constructor(what: string, option: string, max: number) {
    super('HASS_ERR_RESPONSE_SIZE', `${what} has more than ${max} bytes; raise limits.${option} if that is expected.`, {
      details: { option, max },
    })
  }
}

export class ServerError extends ClientError {
  override readonly name = 'ServerError'
  constructor(message: string, details: HassErrorDetails) {
    super('HASS_ERR_SERVER', message, { details })
  }
}

export class StreamTruncatedError extends ClientError {
  override readonly name = 'StreamTruncatedError'
  constructor(what: string, cause?: unknown) {
    super(
      'HASS_ERR_STREAM_TRUNCATED',
      `The stream ended before its text was complete: ${what}. What had come is in partialText.`,
      { cause, details: { what } },
    )
  }
}

export class UnsupportedOptionError extends ClientError {
  override readonly name = 'UnsupportedOptionError'
  constructor(option: string, server: string, advice: string) {
    super(
      'HASS_ERR_UNSUPPORTED_OPTION',
      `A server of the kind "${server}" cannot honour ${option}: ${advice}. Nothing was sent.`,
      { details: { option, server } },
    )
  }
}

/** Lets an error that ended a generation carry what had come of it. */
export function keepPartial(error: unknown, text: string, tokens: readonly number[]): void {
  if (!(error instanceof ClientError)) return
  Object.assign(error, { partialText: text, partialTokens: Uint32Array.from(tokens) })
}
