import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createTinyTokenizer } from './testing/tiny-tokenizer.js'
import { TextOutput } from './text-output.js'

const tokenizer = createTinyTokenizer(1000, [2])

function output(stops: readonly string[]) {
  return new TextOutput(tokenizer.createStreamDecoder({ skipSpecialTokens: true }), stops)
}

/** Pushes a text byte by byte; what each token released, and what the end did. */
async function release(text: string, stops: readonly string[]) {
  const { ids } = await tokenizer.encode(text)
  const into = output(stops)
  const parts = Array.from(ids, (id) => into.push(id))
  return { into, parts, all: parts.join('') + into.finish() }
}

describe('TextOutput', () => {
  it('releases each token at once where no stop text can begin', async () => {
    expect((await release('abc', [])).parts).toEqual(['a', 'b', 'c'])
    expect((await release('abc', ['xyz'])).parts).toEqual(['a', 'b', 'c'])
  })

  it('holds back what may begin a stop text, until it is one or is none', async () => {
    expect((await release('a<en>', ['<end>'])).parts).toEqual(['a', '', '', '', '<en>'])
    const stopped = await release('a<end>b', ['<end>'])
    expect(stopped.parts).toEqual(['a', '', '', '', '', '', ''])
    expect([stopped.all, stopped.into.text, stopped.into.isStopped]).toEqual(['a', 'a', true])
    expect((await release('a<e', ['<end>'])).all).toBe('a<e')
  })

  it('finds stop texts that lie across tokens, begin in the middle of one, or overlap', async () => {
    const pair = tokenizer.tokenToId('ab')!
    const into = output(['bc'])
    expect(into.push(pair)).toBe('a')
    expect(into.push(tokenizer.tokenToId('cd')!)).toBe('')
    expect([into.text, into.isStopped]).toEqual(['a', true])
    expect((await release('aaab', ['aab'])).all).toBe('a')
    expect((await release('xabcd', ['bcd', 'abc'])).all).toBe('x')
  })

  it('never shows half a character, in text or stop text', async () => {
    expect((await release('a🐸b', [])).parts).toEqual(['a', '', '', '', '🐸', 'b'])
    expect((await release('né🐸b', ['🐸'])).all).toBe('né')
    const cut = output([])
    cut.push((await tokenizer.encode('🐸')).ids[0]!)
    expect(cut.finish()).toBe('\ufffd')
  })

  it('shows the text up to the first stop text, however it is cut', async () => {
    const texts = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'é'), maxLength: 20 })
    const stopTexts = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'é'), minLength: 1, maxLength: 4 }))
    await fc.assert(
      fc.asyncProperty(texts, stopTexts, async (text, stops) => {
        const { all, into } = await release(text, stops)
        // The text ends with the stop text that is whole first; of those that end together the longest counts.
        const ends = stops.flatMap((stop) => (text.includes(stop) ? [text.indexOf(stop) + stop.length] : []))
        const end = Math.min(...ends)
        const starts = stops.flatMap((stop) => (text.slice(0, end).endsWith(stop) ? [end - stop.length] : []))
        expect(all).toBe(end === Infinity ? text : text.slice(0, Math.min(...starts)))
        expect(into.isStopped).toBe(end !== Infinity)
      }),
    )
  })
})
