/** A token that is cut out of text before BPE, as tokenizer.json lists it. */
export interface AddedToken {
  readonly id: number
  readonly content: string
  readonly single_word: boolean
  readonly lstrip: boolean
  readonly rstrip: boolean
  readonly normalized: boolean
  /** Left out by `skipSpecialTokens`. */
  readonly special: boolean
}

/**
 * True for a token that gives text its structure, and must therefore not be made out of a user's text.
 *
 * That is every special one, and those spelled `<|…|>` or `<｜…｜>`: DeepSeek-V3's file does not call its own
 * `<｜User｜>` special.
 */
export function isControlToken(token: AddedToken): boolean {
  return token.special || /^<([|｜]).*\1>$/su.test(token.content)
}
