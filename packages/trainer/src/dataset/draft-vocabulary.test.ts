import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Corpus, openCorpus } from '../corpus/open-corpus.js'
import type { FeaturedSequence } from '../corpus/sequence.js'
import { corpusTexts, tinySizes, writeTinyCorpus } from '../testing/tiny-corpus.js'
import { createDraftVocabulary } from './draft-vocabulary.js'

let folder: string
let sequences: FeaturedSequence[]
let corpus: Corpus
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-vocabulary-'))
  sequences = corpusTexts(40)
  await writeTinyCorpus(folder, sequences)
  corpus = await openCorpus(folder)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const responses = (some: readonly FeaturedSequence[]) =>
  some.flatMap(({ tokens, promptTokens }) => [...tokens.subarray(promptTokens)])

describe('createDraftVocabulary', () => {
  it('takes the most frequent response tokens, and those that must be there', () => {
    const counts = new Map<number, number>()
    for (const token of responses(sequences)) counts.set(token, (counts.get(token) ?? 0) + 1)
    const rarest = Array.from({ length: tinySizes.vocabSize }, (_, id) => id).reduce((a, b) =>
      (counts.get(b) ?? 0) < (counts.get(a) ?? 0) ? b : a,
    )
    const { ids, coverage, coverageByDomain } = createDraftVocabulary({ corpus, size: 12, always: [rarest] })
    expect(ids).toHaveLength(12)
    expect([...ids]).toEqual([...ids].sort((a, b) => a - b))
    expect(ids).toContain(rarest)
    const others = [...ids].filter((id) => id !== rarest)
    const left = [...counts.keys()].filter((id) => !ids.includes(id))
    const least = Math.min(...others.map((id) => counts.get(id)!))
    for (const id of left) expect(counts.get(id)).toBeLessThanOrEqual(least)
    const known = responses(sequences).filter((token) => ids.includes(token)).length
    expect(coverage).toEqual({ tokens: responses(sequences).length, share: known / responses(sequences).length })
    const b = responses(sequences.filter(({ domain }) => domain === 'b'))
    expect(coverageByDomain.get('b')).toEqual({
      tokens: b.length,
      share: b.filter((token) => ids.includes(token)).length / b.length,
    })
  })

  it('counts the sequences that it is given', () => {
    const some = [1, 5, 6]
    const { coverage } = createDraftVocabulary({ corpus, size: tinySizes.vocabSize, always: [], sequences: some })
    expect(coverage).toEqual({ tokens: responses(some.map((i) => sequences[i]!)).length, share: 1 })
  })

  it('refuses sizes and tokens that cannot be', () => {
    expect(() => createDraftVocabulary({ corpus, size: 41, always: [] })).toThrow(/size/)
    expect(() => createDraftVocabulary({ corpus, size: 1, always: [1, 2] })).toThrow(/at most size/)
    expect(() => createDraftVocabulary({ corpus, size: 4, always: [40] })).toThrow(/always/)
  })
})
