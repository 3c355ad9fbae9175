import type { ChatMessage, GenerationResult, TextGenerator } from '@hass-engine/core'
import type { TurnRecord } from './records.js'

/** Something that answers, under a name: a row of the tables. */
export interface BenchmarkSubject {
  /** Unique in a benchmark. */
  readonly name: string
  readonly generator: TextGenerator
  /**
   * What its requests hold besides prompt, length, temperature and seed: a tree policy, `speculate: false`. Asked once
   * for each data set and temperature, so that what a policy has learnt of one is not used for another.
   */
  readonly options?: (place: { readonly dataSet: string; readonly temperature: number }) => object
  /** What tells this subject from another of the same name, as JSON: results of others are not gone on with. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** Temperatures at which it runs. Defaults to all. */
  readonly temperatures?: readonly number[]
  /** Reads answers as streams, for generators whose results do not tell when the first token came. Defaults to false. */
  readonly isStreamed?: boolean
}

export interface TurnRequest {
  readonly messages: readonly ChatMessage[]
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
  readonly signal?: AbortSignal
}

/** Asks one question and measures the answer. */
export async function measureTurn(
  subject: BenchmarkSubject,
  request: TurnRequest,
  options: object,
): Promise<{ readonly record: TurnRecord; readonly text: string }> {
  const startedAt = performance.now()
  const whole = { ...options, ...request }
  if (!subject.isStreamed) {
    const result = await subject.generator.generateText(whole)
    return { record: recordOf(result, performance.now() - startedAt), text: result.text }
  }
  await using stream = subject.generator.streamText(whole)
  let firstTokenMs: number | undefined
  for await (const event of stream) {
    if (event.type === 'text-delta') firstTokenMs ??= performance.now() - startedAt
  }
  const result = await stream.result
  return { record: recordOf(result, performance.now() - startedAt, firstTokenMs), text: result.text }
}

/** @param seenMs from the request to its result, as the caller saw it */
function recordOf(result: GenerationResult, seenMs: number, seenFirstMs?: number): TurnRecord {
  const { usage, speculation, timings, finishReason } = result
  const firstTokenMs = timings.firstTokenMs ?? seenFirstMs
  const firstOrPrefillMs = firstTokenMs ?? timings.prefillMs ?? 0
  return {
    promptTokens: usage.promptTokens,
    cachedTokens: usage.cachedTokens ?? 0,
    completionTokens: usage.completionTokens,
    finishReason,
    // A server that sends text alone has no ids to compare.
    output: result.tokens.length === usage.completionTokens ? [...result.tokens] : result.text,
    timings: {
      ...(timings.prefillMs !== undefined && { prefillMs: timings.prefillMs }),
      ...(firstTokenMs !== undefined && { firstTokenMs }),
      decodeMs: timings.decodeMs ?? Math.max(0, seenMs - firstOrPrefillMs),
      totalMs: seenMs,
    },
    decodedTokens: speculation?.emitted ?? Math.max(0, usage.completionTokens - (finishReason === 'stop' ? 0 : 1)),
    ...(speculation && {
      speculation: {
        drafted: speculation.drafted,
        accepted: speculation.accepted,
        emitted: speculation.emitted,
        targetCalls: speculation.targetCalls,
        depths: speculation.depths ?? [],
        ...timesOf(speculation),
      },
    }),
  }
}

function timesOf({ draftMs, verifyMs, otherMs }: NonNullable<GenerationResult['speculation']>) {
  return {
    ...(draftMs !== undefined && { draftMs }),
    ...(verifyMs !== undefined && { verifyMs }),
    ...(otherMs !== undefined && { otherMs }),
  }
}
