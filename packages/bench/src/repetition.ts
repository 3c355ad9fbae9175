import type { Token } from '@hass-engine/core'

/** The end of an output that is looked at, in tokens. */
const window = 32

/**
 * Whether an output ends in a loop: its last 32 tokens repeat with some period of at most 16 tokens, or its last 64
 * with one of at most 32. What loops is easily guessed, so a share of looping outputs belongs beside every speedup.
 */
export function isLooping(tokens: ArrayLike<Token>): boolean {
  for (let period = 1; period <= window; period++) {
    const span = Math.max(window, 2 * period)
    if (span > tokens.length) return false
    if (repeats(tokens, period, span)) return true
  }
  return false
}

/** Whether the last `span` tokens have the period. */
function repeats(tokens: ArrayLike<Token>, period: number, span: number): boolean {
  for (let at = tokens.length - span + period; at < tokens.length; at++) {
    if (tokens[at] !== tokens[at - period]) return false
  }
  return true
}
