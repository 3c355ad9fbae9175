import { beforeAll, describe, expect, it } from 'vitest'
import { listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { openVocabulary } from './testing/test-vocabularies.js'
import type { Tokenizer } from './tokenizer.js'

/** Texts that make careless tokenizers quadratic. */
const shapes: [string, (length: number) => string][] = [
  ['one word', (length) => 'a'.repeat(length)],
  ['one word of many letters', (length) => 'abcdefghijklmnopqrstuvwxyz'.repeat(length / 26)],
  ['spaces', (length) => ' '.repeat(length)],
  ['line ends and spaces', (length) => ' \n'.repeat(length / 2)],
  ['digits', (length) => '1'.repeat(length)],
  ['punctuation', (length) => '!'.repeat(length)],
  ['capitals', (length) => 'A'.repeat(length)],
  ['ideographs', (length) => '中'.repeat(length / 3)],
  ['apostrophes', (length) => "'".repeat(length)],
]

describe.each(listGolden('tokenizers', /\.json$/))('%s', { timeout: 120_000 }, (file) => {
  let tokenizer: Tokenizer
  beforeAll(() => {
    tokenizer = openVocabulary(readGoldenJson('tokenizers', file).source)
  }, 120_000)

  it.each(shapes)(
    'takes linear time for %s',
    async (_, make) => {
      // Processor time of all threads: on a busy machine the clock says little.
      const time = async (length: number) => {
        const text = make(length)
        const times: number[] = []
        for (let repeat = 0; repeat < 5; repeat++) {
          const start = process.cpuUsage()
          await tokenizer.encode(text)
          const { user, system } = process.cpuUsage(start)
          times.push((user + system) / 1000)
        }
        return Math.min(...times)
      }
      await time(2 ** 14)
      const [once, eightfold] = [await time(2 ** 15), await time(2 ** 18)]
      // At most 2.5 times for each of three doublings; quadratic would be 64 times.
      expect(eightfold).toBeLessThan(2.5 ** 3 * once)
    },
    120_000,
  )

  it('encodes a word of 10 MB and gives it back', async () => {
    const text = 'ab'.repeat(5 * 2 ** 20)
    const { ids } = await tokenizer.encode(text)
    expect(tokenizer.decode(ids)).toBe(text)
  }, 120_000)
})
