import { DisposedError, type GenerationResult, type SpeculationStatistics } from '@hass-engine/core'
import type { ClientSettings } from '../client-options.js'
import { HttpStatusError, keepPartial } from '../errors.js'
import { CallClock } from '../http/call-clock.js'
import { readEvents } from '../http/event-stream.js'
import type { HttpAnswer, HttpClient } from '../http/http-client.js'
import type { WireCall } from '../wire/chunk.js'
import type { GenerationRequest } from '../wire/generation-request.js'
import { parseObject } from '../wire/json.js'
import type { EventQueue } from './event-queue.js'
import { Generation, isWork } from './generation.js'

export interface GenerationParts {
  readonly http: HttpClient
  readonly settings: ClientSettings
  readonly request: GenerationRequest
  /** The request in the server's form; may ask the server first. */
  readonly createCall: (request: GenerationRequest, clock: CallClock) => Promise<WireCall>
  /** Fields of requests that the server has refused, and that a request can do without. */
  readonly refusedFields: Set<string>
  /** Begins to measure speculation beside the stream; what it returns ends that. */
  readonly measure: ((clock: CallClock) => Promise<() => Promise<SpeculationStatistics | undefined>>) | undefined
}

/**
 * Generates, event by event.
 *
 * @param signals of the caller, and of a reader who leaves
 * @throws what a call throws; a `ClientError` has what had come by then in `partialText`
 */
export async function runGeneration(
  parts: GenerationParts,
  signals: readonly AbortSignal[],
  events: EventQueue,
): Promise<GenerationResult> {
  const { settings, request, createCall, measure } = parts
  const { timeouts, limits } = settings
  using clock = new CallClock(timeouts.totalMs, signals)
  clock.signal.throwIfAborted()
  const call = await createCall(request, clock)
  const measured = await measure?.(clock)
  const generation = new Generation(request, limits)
  // `transformers serve` writes no [DONE]; SGLang, vLLM and our own servers always do.
  const mayEnd = () => settings.server === 'openai' && generation.isFinished
  try {
    const answer = await send(call, parts, clock)
    clock.enter('first-token', timeouts.firstTokenMs)
    for await (const data of readEvents(answer, limits, clock, mayEnd)) {
      const chunk = call.read(parseObject(data, 'An event of the stream'))
      if (isWork(chunk)) clock.enter('between-tokens', timeouts.betweenTokensMs)
      for (const event of generation.take(chunk)) events.push(event)
    }
    clock.leave()
    return generation.finish(await measured?.())
  } catch (error) {
    // What broke because the caller had enough, or time was up, is no failure of its own.
    const reason = clock.signal.aborted && !(error instanceof DisposedError) ? clock.signal.reason : error
    keepPartial(reason, generation.text, generation.tokens)
    throw reason
  }
}

/** Sends a request; once more, if the server refuses a field of it that it can do without. */
async function send(call: WireCall, parts: GenerationParts, clock: CallClock): Promise<HttpAnswer> {
  const { http, refusedFields } = parts
  const attempt = () => {
    const json = Object.fromEntries(Object.entries(call.body).filter(([name]) => !refusedFields.has(name)))
    return http.send({ method: 'POST', path: call.path, json, accept: 'text/event-stream', clock })
  }
  try {
    return await attempt()
  } catch (error) {
    const isRefusal = error instanceof HttpStatusError && (error.status === 400 || error.status === 422)
    const named = isRefusal ? call.dispensableFields.filter((name) => error.bodyExcerpt.includes(name)) : []
    if (named.length === 0 || named.every((name) => refusedFields.has(name))) throw error
    for (const name of named) refusedFields.add(name)
    return await attempt()
  }
}
