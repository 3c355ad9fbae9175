import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import type { Tokenizer } from '../tokenizer.js'
import { readVocabularyFiles, type VocabularySource } from './test-vocabularies.js'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc
    .array(fc.constantFrom(' ', '\n', 'a', "'s", '1', '🙂', 'é', '<|im_end|>', '<s>', '中', '\u0000', '\ud800'))
    .map((parts) => parts.join('')),
)

/** What holds for any text and any ids of a vocabulary. `open` is asked when the tests run. */
export function describeProperties(source: VocabularySource, open: () => Tokenizer, numRuns: number): void {
  let tokenizer: Tokenizer
  /** Text that the vocabulary can hold: some lack tokens for rare control bytes, some compose characters. */
  let canHold: (text: string) => boolean
  let toExpected: (text: string) => string
  beforeAll(() => {
    tokenizer = open()
    const bytes = new Set<number>()
    for (let id = 0; id < tokenizer.vocabSize; id++) {
      const one = tokenizer.tokenBytes(id)
      if (one.length === 1) bytes.add(one[0]!)
    }
    canHold = (candidate) => [...Buffer.from(candidate)].every((byte) => bytes.has(byte))
    const isComposing =
      source.npm_package !== undefined && readVocabularyFiles(source).tokenizer.normalizer?.type === 'NFC'
    toExpected = (candidate) => {
      const wellFormed = Buffer.from(candidate).toString()
      return isComposing ? wellFormed.normalize('NFC') : wellFormed
    }
  }, 120_000)

  it('gives text back byte for byte', async () => {
    await fc.assert(
      fc.asyncProperty(text, async (candidate) => {
        const expected = toExpected(candidate)
        fc.pre(canHold(expected))
        const { ids } = await tokenizer.encode(candidate)
        expect(tokenizer.decode(ids)).toBe(expected)
        expect([...ids].some((id) => tokenizer.isSpecialToken(id))).toBe(false)
      }),
      { numRuns },
    )
  })

  it('has offsets in order and inside the text', async () => {
    await fc.assert(
      fc.asyncProperty(text, fc.boolean(), async (candidate, parseSpecialTokens) => {
        const { ids, offsets } = await tokenizer.encode(candidate, { withOffsets: true, parseSpecialTokens })
        expect(offsets!.length).toBe(2 * ids.length)
        let before = 0
        for (let i = 0; i < ids.length; i++) {
          const [start, end] = [offsets![2 * i]!, offsets![2 * i + 1]!]
          expect(start).toBeGreaterThanOrEqual(before)
          expect(end).toBeGreaterThanOrEqual(start)
          expect(end).toBeLessThanOrEqual(candidate.length)
          // Never inside a surrogate pair.
          for (const at of [start, end])
            expect(/[\ud800-\udbff][\udc00-\udfff]/.test(candidate.slice(at - 1, at + 1)) && at > 0).toBe(false)
          before = start
        }
      }),
      { numRuns },
    )
  })

  it('streams what it decodes, and takes nothing back', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: tokenizer.vocabSize - 1 }), { maxLength: 30 }),
        fc.boolean(),
        (anyIds, skipSpecialTokens) => {
          // A run of byte tokens that turns invalid half-way is the exception: see decoder.test.ts.
          const ids = anyIds.filter((id) => !/^<0x..>$/.test(tokenizer.idToToken(id) ?? ''))
          const decoder = tokenizer.createStreamDecoder({ skipSpecialTokens })
          let streamed = ''
          ids.forEach((id, index) => {
            streamed += decoder.push(id)
            expect(/\p{Surrogate}/u.test(streamed)).toBe(false)
            // What is shown stays a beginning of the text, whatever follows.
            expect(tokenizer.decode(ids.slice(0, index + 1), { skipSpecialTokens }).startsWith(streamed)).toBe(true)
          })
          streamed += decoder.flush()
          expect(streamed).toBe(tokenizer.decode(ids, { skipSpecialTokens }))
          expect(decoder.push(ids) + decoder.flush()).toBe(streamed)
        },
      ),
      { numRuns },
    )
  })
}
