import { beforeAll, describe, expect, it } from 'vitest'
import { listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { openVocabulary } from './testing/test-vocabularies.js'
import type { Tokenizer } from './tokenizer.js'

/** Texts that make careless tokenizers quadratic. */
const shapes: [string, string][] = [
  ['one word', 'a'],
  ['one word of many letters', 'abcdefghijklmnopqrstuvwxyz'],
  ['spaces', ' '],
  ['line ends and spaces', ' \n'],
  ['digits', '1'],
  ['punctuation', '!'],
  ['capitals', 'A'],
  ['ideographs', '中'],
  ['apostrophes', "'"],
]
const ordinary = 'Some words of a usual length. '

const doublings = 6
const short = 2 ** 14
const long = short * 2 ** doublings

function textOf(part: string, bytes: number): string {
  return part.repeat(bytes / Buffer.byteLength(part))
}

describe.each(listGolden('tokenizers', /\.json$/))('%s', { timeout: 600_000 }, (file) => {
  let tokenizer: Tokenizer
  beforeAll(() => {
    tokenizer = openVocabulary(readGoldenJson('tokenizers', file).source)
  }, 120_000)

  /** Processor time of all threads: on a busy machine the clock says little. */
  async function timeOf(text: string): Promise<number> {
    const start = process.cpuUsage()
    await tokenizer.encode(text)
    const { user, system } = process.cpuUsage(start)
    return (user + system) / 1000
  }

  async function leastTime(text: string, repeats: number): Promise<number> {
    const times: number[] = []
    for (let repeat = 0; repeat < repeats; repeat++) times.push(await timeOf(text))
    return Math.min(...times)
  }

  async function growth(part: string): Promise<number> {
    const once = await leastTime(textOf(part, short), 12)
    return (await leastTime(textOf(part, long), 4)) / once
  }

  /**
   * Merging one word of n letters goes through a priority queue: n log n, which is 20/14 of linear over these six
   * doublings. The working set leaves the processor's caches meanwhile, for ordinary text as well: growth is therefore
   * compared with that of ordinary text of the same lengths. The bound of 4 stands for n^1.33; n^1.5 would be 8,
   * quadratic 64.
   */
  it.each(shapes)('does not take the square of time for %s', async (_, part) => {
    await leastTime(textOf(part, short), 3)
    const [usual, hostile] = [await growth(ordinary), await growth(part)]
    console.log(
      'LIN',
      file,
      _,
      (hostile / usual).toFixed(2),
      (hostile ** (1 / doublings)).toFixed(3),
      (usual ** (1 / doublings)).toFixed(3),
    )
    expect(hostile / usual).toBeLessThan(4)
    // Caches and queue together: a doubling takes at most 2.5 times as long.
    expect(hostile ** (1 / doublings)).toBeLessThan(2.5)
  })

  it('encodes a word of 10 MiB and gives it back', async () => {
    const text = 'ab'.repeat(5 * 2 ** 20)
    const { ids } = await tokenizer.encode(text)
    expect(tokenizer.decode(ids)).toBe(text)
  })
})
