import { setTimeout as sleep } from 'node:timers/promises'
import type { RetryOptions } from '../client-options.js'
import { ClientError, HttpStatusError } from '../errors.js'
import type { CallClock } from './call-clock.js'

/** Statuses with which a server says that it did not begin, and may later. */
const retryableStatuses: ReadonlySet<number> = new Set([408, 425, 429, 502, 503, 504])

export function isRetryableStatus(status: number): boolean {
  return retryableStatuses.has(status)
}

/**
 * What `Retry-After` asks for, in milliseconds: seconds or a date; undefined for anything else, a past date included.
 *
 * @param now milliseconds since 1970
 */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  const text = header.trim()
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  // A date of HTTP begins with its weekday: "-1" would be a year to Date.parse.
  const date = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Date.parse(text) : Number.NaN
  return date > now ? date - now : undefined
}

/**
 * Milliseconds to wait before a repetition: doubled each time, capped, half of it left to chance; longer where the
 * server asks for it, at most `maxRetryAfterMs` and up to `baseMs` of chance.
 *
 * @param retry 0 for the first repetition
 */
export function retryDelay(retry: number, retryAfterMs: number | undefined, options: Required<RetryOptions>): number {
  const { baseMs, maxMs, maxRetryAfterMs, random } = options
  const backoff = Math.min(maxMs, baseMs * 2 ** retry) * (0.5 + 0.5 * random())
  if (retryAfterMs === undefined) return backoff
  // Many clients were told the same: they must not come back at the same moment.
  const asked = Math.min(maxRetryAfterMs, retryAfterMs)
  return Math.max(backoff, asked + random() * Math.min(baseMs, asked))
}

/**
 * Repeats `attempt` while it fails with what may pass. Whoever calls decides by the error which failures may: an
 * attempt whose answer has begun must not throw a retryable one.
 *
 * @throws the last attempt's error, without waiting where the wait would outlast the call; the reason of `clock`
 */
export async function withRetries<T>(
  attempt: () => Promise<T>,
  options: Required<RetryOptions>,
  clock: CallClock,
): Promise<T> {
  for (let retry = 0; ; retry++) {
    try {
      return await attempt()
    } catch (error) {
      const mayPass = error instanceof ClientError && error.isRetryable
      if (!mayPass || retry >= options.maxRetries) throw error
      const delay = retryDelay(retry, error instanceof HttpStatusError ? error.retryAfterMs : undefined, options)
      if (delay >= clock.remainingMs) throw error
      clock.leave()
      await sleep(delay, undefined, { signal: clock.signal }).catch(() => clock.signal.throwIfAborted())
    }
  }
}
