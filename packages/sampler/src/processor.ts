import type { Token } from '@hass-engine/core'

/** What precedes the token that is being chosen. */
export interface ChoiceContext {
  /** The sequence's committed tokens, prompt included; the one at index i stands at position i. */
  readonly history: ArrayLike<Token>
  /** Tokens after those: in a draft tree from the root to the node, both included. */
  readonly path: readonly Token[]
  /** Absolute index of the token being chosen, `history.length + path.length`. */
  readonly position: number
}

/** One step from the model's logits to the distribution that is chosen from. */
export interface LogitsProcessor {
  readonly name: string
  /**
   * Changes a row in place; must depend on nothing but its arguments, or speculation would change the text.
   *
   * @param logits `[vocabSize] float64`; -Infinity removes a token, +Infinity makes it certain
   */
  process(logits: Float64Array, context: ChoiceContext): void
}
