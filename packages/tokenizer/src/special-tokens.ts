import type { Token } from '@hass-engine/core'
import type { Vocabulary } from './vocabulary.js'

/** Tokens with a role. */
export interface SpecialTokens {
  readonly bos?: Token
  readonly eos?: Token
  readonly pad?: Token
  readonly unk?: Token
}

/** Names under which known models end a turn or a text, beside the one that their configuration calls eos. */
const endNames = [
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end_of_text|>',
  '<|endoftext|>',
  '<|end|>',
  '<|EOT|>',
  '<|return|>',
  '<end_of_turn>',
  '<｜end▁of▁sentence｜>',
  '</s>',
]

/**
 * Ids after which nothing more is to be generated: eos, those of a generation configuration, and added tokens with a
 * known end-of-turn name.
 */
export function endOfGenerationIds(
  vocabulary: Vocabulary,
  isAdded: (id: Token) => boolean,
  configured: readonly Token[],
): Token[] {
  const named = endNames.flatMap((name) => {
    const id = vocabulary.id(name)
    return id !== undefined && isAdded(id) ? [id] : []
  })
  return [...new Set([...configured, ...named])].sort((a, b) => a - b)
}
