import { TokenizerError } from './errors.js'

/** SentencePiece's own limit is 16 characters; runs of spaces reach 48. */
const maxTokenLength = 256

/**
 * The merges behind a SentencePiece BPE vocabulary, which keeps tokens and scores only: every way of making a token
 * out of two others, the best score first, as the conversion to tokenizer.json writes them.
 *
 * @param scores `[tokens]`, higher is merged earlier
 * @param isMerged whether an id can be the result of a merge
 */
export function mergesByScore(
  tokens: readonly string[],
  scores: ArrayLike<number>,
  isMerged: (id: number) => boolean,
): [string, string][] {
  const ids = new Map(tokens.map((token, id) => [token, id]))
  const merges: { left: string; right: string; score: number }[] = []
  tokens.forEach((token, id) => {
    if (!isMerged(id)) return
    if (token.length > maxTokenLength) {
      throw new TokenizerError(
        'vocab',
        `Token ${id} has ${token.length} characters, at most ${maxTokenLength} are read.`,
        {
          id,
          length: token.length,
          maxTokenLength,
        },
      )
    }
    const pairs: { left: string; right: string; leftId: number }[] = []
    for (let cut = 1; cut < token.length; cut++) {
      const left = token.slice(0, cut)
      const leftId = ids.get(left)
      if (leftId === undefined) continue
      const right = token.slice(cut)
      if (ids.has(right)) pairs.push({ left, right, leftId })
    }
    pairs.sort((a, b) => a.leftId - b.leftId)
    for (const { left, right } of pairs) merges.push({ left, right, score: scores[id]! })
  })
  // Equal scores (runs of spaces all have the lowest) stay in the vocabulary's order.
  merges.sort((a, b) => b.score - a.score)
  return merges.map(({ left, right }) => [left, right])
}
