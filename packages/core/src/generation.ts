import type { DraftTree } from './draft-tree.js'
import type { Token } from './token.js'
import type { Verdict } from './verification.js'

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool' | (string & {})
  readonly content: string
  readonly [field: string]: unknown
}

/** How tokens are chosen. Absent fields leave the distribution alone. */
export interface SamplingOptions {
  /** 0 means arg max. Defaults to 0. */
  readonly temperature?: number
  readonly topK?: number
  readonly topP?: number
  readonly minP?: number
  readonly typicalP?: number
  readonly repetitionPenalty?: number
  readonly presencePenalty?: number
  readonly frequencyPenalty?: number
  /** Added to logits, by token id. */
  readonly logitBias?: Readonly<Record<number, number>>
  /** Decides every random choice: same seed, same text. Defaults to a fresh one, reported in the result. */
  readonly seed?: number | bigint
}

/** One of `prompt`, `messages` and `tokens` says what to continue. */
export interface GenerateOptions extends SamplingOptions {
  /** Text that is continued as it stands. */
  readonly prompt?: string
  /** A conversation, rendered with the model's chat template. */
  readonly messages?: readonly ChatMessage[]
  readonly tokens?: ArrayLike<Token>
  /** Defaults to what the context has room for. */
  readonly maxTokens?: number
  /** Texts at which the output ends; they are not part of it. */
  readonly stop?: string | readonly string[]
  /** Tokens at which the output ends besides the model's own; not part of the text. */
  readonly stopTokens?: readonly Token[]
  /** Report each token's log-probabilities, and those of so many alternatives. Defaults to no report at all. */
  readonly topLogProbs?: number
  /** False decodes plainly; the text is the same. Defaults to true where there is something to draft with. */
  readonly speculate?: boolean
  readonly signal?: AbortSignal
}

/** `stop`: a stop token or text; `length`: maxTokens or the context's end; `aborted`: the signal, seen in a stream. */
export type FinishReason = 'stop' | 'length' | 'aborted'

/** The target's log-probabilities of one emitted token, unchanged by speculation. */
export interface TokenLogProbs {
  readonly token: Token
  /** Of the model's own distribution, natural log. */
  readonly logProb: number
  /** Of the distribution that was chosen from, all processors applied; -Infinity for what they cut. */
  readonly processedLogProb?: number
  readonly top: readonly { readonly token: Token; readonly logProb: number }[]
}

export interface Usage {
  readonly promptTokens: number
  readonly completionTokens: number
  /** Of the prompt, read from the cache. */
  readonly cachedTokens?: number
}

/** Drafted, accepted, emitted and target calls are four numbers with four meanings; see the concepts page. */
export interface SpeculationStatistics {
  /** Nodes proposed, roots excluded. */
  readonly drafted: number
  /** Drafted nodes kept. */
  readonly accepted: number
  /** Accepted nodes and bonus tokens. */
  readonly emitted: number
  /** Target forward passes after the prefill. */
  readonly targetCalls: number
  /** τ: emitted tokens per target call, bonus included. */
  readonly acceptanceLength: number
  /** By depth d ≥ 1 at index d − 1: cycles whose tree reached that depth, and cycles that accepted there. */
  readonly depths?: readonly { readonly drafted: number; readonly accepted: number }[]
  readonly draftMs?: number
  readonly verifyMs?: number
  readonly otherMs?: number
}

export interface GenerationTimings {
  readonly prefillMs?: number
  readonly firstTokenMs?: number
  readonly decodeMs?: number
  readonly totalMs: number
}

export interface GenerationResult {
  readonly text: string
  /** Empty where a server does not say which. */
  readonly tokens: Uint32Array
  readonly finishReason: FinishReason
  readonly usage: Usage
  readonly timings: GenerationTimings
  readonly seed?: bigint
  /** Absent where the text was decoded plainly or a server does not say. */
  readonly speculation?: SpeculationStatistics
  readonly logProbs?: readonly TokenLogProbs[]
}

export type GenerationEvent =
  | { readonly type: 'prefill-end'; readonly promptTokens: number }
  | { readonly type: 'text-delta'; readonly text: string; readonly tokens: readonly Token[] }
  | { readonly type: 'draft-verified'; readonly tree: DraftTree; readonly verdict: Verdict }
  | { readonly type: 'finish'; readonly result: GenerationResult }

/** A running generation. Leaving it (`await using`, `break`) ends the work behind it. */
export interface GenerationStream extends AsyncIterable<GenerationEvent>, AsyncDisposable {
  /** The text alone; never half a character, never taken back. */
  readonly textStream: AsyncIterable<string>
  /** Rejects with the abort reason or the error that ended the stream. */
  readonly result: Promise<GenerationResult>
}

/** Whatever turns a prompt into text: a local engine, or a client of a server. */
export interface TextGenerator {
  generateText(options: GenerateOptions): Promise<GenerationResult>
  streamText(options: GenerateOptions): GenerationStream
}
