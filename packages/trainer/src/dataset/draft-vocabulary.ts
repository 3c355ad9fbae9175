import { checkNumber, checkOptionKeys, InvalidArgumentError, type Token } from '@hass-engine/core'
import type { Corpus } from '../corpus/open-corpus.js'

export interface DraftVocabularyOptions {
  readonly corpus: Corpus
  /** Tokens of it. */
  readonly size: number
  /** Tokens that it holds however rare they are: those that end a generation. */
  readonly always: readonly Token[]
  /** Numbers of the sequences that are counted. Defaults to all. */
  readonly sequences?: ArrayLike<number>
}

/** How much of the responses a draft vocabulary knows. */
export interface VocabularyCoverage {
  /** Tokens that were counted. */
  readonly tokens: number
  /** Share of them that are in the vocabulary. */
  readonly share: number
}

/** The tokens that a head can propose. */
export interface DraftVocabulary {
  /** `[size]`, ids of the target, ascending. */
  readonly ids: Uint32Array
  readonly coverage: VocabularyCoverage
  readonly coverageByDomain: ReadonlyMap<string, VocabularyCoverage>
}

/**
 * The most frequent response tokens of a corpus (FR-Spec, arXiv 2502.14856): a head with few tokens to choose from
 * drafts cheaply. Of equally frequent ones the lower id is taken.
 */
export function createDraftVocabulary(options: DraftVocabularyOptions): DraftVocabulary {
  checkOptionKeys(options, ['corpus', 'size', 'always', 'sequences'], 'createDraftVocabulary')
  const { corpus } = options
  const { vocabSize } = corpus
  const size = checkNumber(options.size, 'size', { min: 1, max: vocabSize, isInteger: true })
  const kept = new Set(options.always)
  for (const token of kept) checkNumber(token, 'a token of always', { min: 0, below: vocabSize, isInteger: true })
  if (kept.size > size) {
    throw new InvalidArgumentError(`always has ${kept.size} tokens, expected at most size, ${size}.`, { size })
  }
  const byDomain = countResponses(corpus, options.sequences)
  const counts = new Float64Array(vocabSize)
  for (const domain of byDomain.values()) for (const [token, count] of domain.entries()) counts[token]! += count
  const ranked = Array.from(counts.keys()).sort((a, b) => counts[b]! - counts[a]! || a - b)
  for (const token of ranked) {
    if (kept.size === size) break
    kept.add(token)
  }
  const ids = Uint32Array.from(kept).sort()
  return {
    ids,
    coverage: coverageOf(counts, ids),
    coverageByDomain: new Map([...byDomain].map(([domain, some]) => [domain, coverageOf(some, ids)])),
  }
}

/** How often each token occurs in responses, `[vocabSize]` by domain. */
function countResponses(corpus: Corpus, chosen: ArrayLike<number> | undefined): Map<string, Float64Array> {
  const sequences = chosen ? Array.from(chosen, (index) => corpus.sequences[index]!) : corpus.sequences
  const byDomain = new Map<string, Float64Array>()
  for (const { domain, tokens, responseMask } of sequences) {
    const counts = byDomain.get(domain) ?? new Float64Array(corpus.vocabSize)
    byDomain.set(domain, counts)
    for (const [i, token] of tokens.entries()) counts[token]! += responseMask[i]!
  }
  return byDomain
}

function coverageOf(counts: Float64Array, ids: Uint32Array): VocabularyCoverage {
  const tokens = counts.reduce((sum, count) => sum + count, 0)
  const known = ids.reduce((sum, id) => sum + counts[id]!, 0)
  return { tokens, share: tokens === 0 ? 0 : known / tokens }
}
