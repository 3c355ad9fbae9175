/** What is known of a sequence besides its tokens. */
export interface SequenceRecord {
  /** Of the prompt. */
  readonly id: string
  /** What kind of prompt it was. */
  readonly domain: string
  /** Tokens before the last response. */
  readonly promptTokens: number
  /** How the response was chosen; absent of a fixed dialogue. */
  readonly temperature?: number
  /** Of the response's noise, decimal; absent of a fixed dialogue. */
  readonly seed?: string
}

/** One text of a corpus. T tokens. */
export interface CorpusSequence extends SequenceRecord {
  /** `[T]` */
  readonly tokens: Uint32Array
  /** `[T]`, 1 for what the assistant says, the token that ends its turn included. */
  readonly responseMask: Uint8Array
}

/** A sequence with its features, as they are written. E hidden size. */
export interface FeaturedSequence extends CorpusSequence {
  /** `[T - 1, E] float32`, of every token but the last, which nothing follows. */
  readonly features: Float32Array
}

/** Rows of features that a sequence has: nothing is known behind its last token. */
export function featureRows({ tokens }: { readonly tokens: ArrayLike<number> }): number {
  return Math.max(0, tokens.length - 1)
}
