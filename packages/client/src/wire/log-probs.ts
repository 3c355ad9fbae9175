import type { Token, TokenLogProbs } from '@hass-engine/core'
import { refuse } from './json.js'

/** vLLM names tokens `token_id:5` where `return_tokens_as_token_ids` is asked for. */
export function fromTokenName(name: unknown): Token {
  const id = typeof name === 'string' ? /^token_id:(\d{1,10})$/.exec(name)?.[1] : undefined
  return id === undefined ? refuse('logprobs', 'tokens by their ids, such as "token_id:5"', name) : Number(id)
}

/**
 * @param top alternatives in any order; servers add the chosen token to them
 * @param count how many alternatives were asked for
 */
export function logProbsOf(
  token: Token,
  logProb: unknown,
  top: readonly (readonly [token: Token, logProb: unknown])[],
  count: number,
): TokenLogProbs {
  const entries = top.map(([other, value]) => ({ token: other, logProb: asLogProb(value) }))
  entries.sort((a, b) => b.logProb - a.logProb || a.token - b.token)
  return { token, logProb: asLogProb(logProb), top: entries.slice(0, count) }
}

/** Natural logs; a negative infinity cannot be written in JSON, null stands for it. */
function asLogProb(value: unknown): number {
  if (value === null) return -Infinity
  return typeof value === 'number' && value <= 1e-3 ? Math.min(value, 0) : refuse('logprobs', 'natural logs', value)
}
