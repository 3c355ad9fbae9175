import type { GenerationTimings, SpeculationStatistics, Token, TokenLogProbs } from '@hass-engine/core'
import type { JsonObject } from './json.js'

/** What one event of a stream adds to a generation, whatever the server's own form. */
export interface Chunk {
  readonly text?: string
  /** Characters at the end of the text before, which belonged to a stop text. */
  readonly takenBack?: number
  /** Present if what ends the text so far like the beginning of a stop text is that. */
  readonly endsInStop?: boolean
  readonly tokens?: readonly Token[]
  readonly logProbs?: readonly TokenLogProbs[]
  readonly promptTokens?: number
  readonly cachedTokens?: number
  /** Of the whole generation so far. */
  readonly completionTokens?: number
  readonly finishReason?: string
  readonly speculation?: SpeculationStatistics
  readonly seed?: bigint
  readonly timings?: GenerationTimings
  /** Present if the server works on something that is no part of the text (reasoning): it is not stuck. */
  readonly isProgress?: boolean
}

/** A request in a server's own form, and what reads its answer. */
export interface WireCall {
  readonly path: string
  readonly body: JsonObject
  /** Fields of the body that some servers refuse, and without which the same text is generated. */
  readonly dispensableFields: readonly string[]
  /** Reads one event. @throws ResponseError, ServerError */
  read(event: JsonObject): Chunk
}
