import type { CorpusSettings } from './corpus-settings.js'

/** Everything about a corpus that can be decided before there are prompts. */
export interface CorpusRecipe {
  readonly settings: Partial<CorpusSettings>
  /** Files of a prompts folder, in the order in which they are interleaved. */
  readonly domains: readonly string[]
  /** Prompts whose ids begin with one of these are left out. */
  readonly excludedPrefixes: readonly string[]
}

/**
 * The corpus of the embedded head: short answers to six kinds of prompts. Left out are prompts that were written by a
 * commercial model, or whose licence nobody has seen.
 */
const embedded: CorpusRecipe = {
  settings: {
    temperatures: [
      { temperature: 0, share: 0.5 },
      { temperature: 1, share: 0.35 },
      { temperature: 0.7, share: 0.15 },
    ],
    salt: '',
    maxTokens: 128,
    maxPromptTokens: 512,
    maxTurns: 1,
    endTokens: [2],
  },
  domains: ['dialogue', 'instruct', 'code', 'math', 'qa', 'summarization'],
  excludedPrefixes: ['mtb101', 'gpteacher', 'ptensor', 'mathqa', 'story'],
}

/** Named recipes. */
export const corpusRecipes = { embedded } as const satisfies Readonly<Record<string, CorpusRecipe>>
