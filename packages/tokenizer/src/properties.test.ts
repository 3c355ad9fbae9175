import { describe } from 'vitest'
import { listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { readVocabularyFiles } from './testing/test-vocabularies.js'
import { describeProperties } from './testing/vocabulary-properties.js'

/** What makes vocabularies behave differently here: bytes as characters or as tokens, and what changes text first. */
function kindOf(file: string): string {
  const { source } = readGoldenJson('tokenizers', file)
  if (source.npm_package === undefined) return 'byte-level'
  const { tokenizer } = readVocabularyFiles(source)
  return `${tokenizer.model.byte_fallback ? 'byte-fallback' : 'byte-level'} ${tokenizer.normalizer?.type ?? ''}`.trim()
}

/** The smallest vocabulary of each kind; `properties.long.test.ts` has all of them. */
function smallestOfEachKind(): string[] {
  const smallest = new Map<string, { file: string; size: number }>()
  for (const file of listGolden('tokenizers', /\.json$/)) {
    const kind = kindOf(file)
    const size = readGoldenJson('tokenizers', file).vocab_size as number
    if (size < (smallest.get(kind)?.size ?? Number.POSITIVE_INFINITY)) smallest.set(kind, { file, size })
  }
  return [...smallest.values()].map(({ file }) => file)
}

describe.each(smallestOfEachKind())('%s', { timeout: 120_000 }, (file) => {
  describeProperties(file, 60)
})
