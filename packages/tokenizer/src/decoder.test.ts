import { describe, expect, it } from 'vitest'
import { createTokenStream, decodeTokens } from './decoder.js'
import { Vocabulary } from './vocabulary.js'

const byteNames = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
const fallback = {
  vocabulary: new Vocabulary(
    'byte-fallback',
    [...byteNames, '▁a', 'b', '\ufffd'].map((token, id) => [token, id]),
    new Set([257]),
  ),
  strippedSpaces: 1 as const,
  idLimit: 300,
}
/** Ids 0 to 255 are the bytes in the order of the alphabet's characters U+0021 … ; only some are needed. */
const byteLevel = {
  vocabulary: new Vocabulary(
    'byte-level',
    [...['a', 'Ġ', 'ð', 'Ł', 'Ļ', 'Ĥ', 'ÿ', 'Ġð', '｜x｜', 'aŁ', 'ÃŁŁ', '<0x41>'].entries()].map(([id, token]) => [
      token,
      id,
    ]),
    new Set(),
  ),
  strippedSpaces: 0 as const,
  idLimit: 12,
}

describe('byte-level text', () => {
  it('waits for whole characters', () => {
    const stream = createTokenStream(byteLevel)
    expect([0, 7, 3, 4, 5, 0].map((id) => stream.push(id))).toEqual(['a', '', '', '', ' 🙂', 'a'])
    expect(stream.flush()).toBe('')
  })

  it('shows what never becomes a character as U+FFFD, once that is certain', () => {
    const stream = createTokenStream(byteLevel)
    expect([2, 3, 0, 6, 0].map((id) => stream.push(id))).toEqual(['', '', '\ufffda', '', '\ufffda'])
    expect(stream.push([2, 3]) + stream.flush()).toBe('\ufffd')
    expect(stream.flush()).toBe('')
    expect(decodeTokens(byteLevel, [2, 3, 0, 6, 8])).toBe('\ufffda\ufffd｜x｜')
  })

  it('knows a character that is complete, and what cannot follow one', () => {
    const stream = createTokenStream(byteLevel)
    expect([9, 10, 0].map((id) => stream.push(id))).toEqual(['', '', 'a\ufffdß\ufffda'])
    expect(decodeTokens(byteLevel, [9, 10, 0])).toBe('a\ufffdß\ufffda')
  })

  it('has no byte tokens', () => {
    expect(byteLevel.vocabulary.fallbackByte(11)).toBeUndefined()
    expect(decodeTokens(byteLevel, [11])).toBe('<0x41>')
  })

  it('does not hold back without end', () => {
    const stream = createTokenStream(byteLevel)
    const ids = Array.from({ length: 5000 }, () => 7)
    let streamed = ''
    let longest = 0
    ids.forEach((id, index) => {
      streamed += stream.push(id)
      longest = Math.max(longest, 2 * (index + 1) - streamed.length)
    })
    expect(longest).toBeLessThan(80)
    expect(streamed + stream.flush()).toBe(decodeTokens(byteLevel, ids))
  })
})

describe('byte-fallback text', () => {
  const b = (text: string) => [...Buffer.from(text)]

  it('strips one space at the front, of the text and not of each part', () => {
    const stream = createTokenStream(fallback)
    expect([256, 256, 257].map((id) => stream.push(id))).toEqual(['a', ' a', 'b'])
    expect(stream.flush()).toBe('')
    expect(stream.push([256])).toBe('a')
    expect(decodeTokens(fallback, [256, 257, 256], { skipSpecialTokens: true })).toBe('a a')
  })

  it('makes characters of byte tokens', () => {
    const stream = createTokenStream(fallback)
    const ids = [...b('é🙂'), 257]
    expect(ids.map((id) => stream.push(id))).toEqual(['', 'é', '', '', '', '🙂', 'b'])
    expect(decodeTokens(fallback, ids)).toBe('é🙂b')
  })

  it('shows an invalid run as one U+FFFD for each byte', () => {
    for (const run of [
      [0xf0, 0x9f],
      [0xc0, 0x41],
      [0xf0, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf5],
      [0xf4, 0x90],
      [0xe0, 0x80],
      [0x80],
      [0xc3, 0x41, 0xc3, 0xa9],
      // Overlong forms, surrogates and what lies behind U+10FFFF: no characters, so that the whole run is none.
      [0xc1, 0xbf, 0x41],
      [0xe0, 0x9f, 0xbf, 0x41],
      [0xed, 0xa0, 0x80, 0x41],
      [0xf0, 0x8f, 0xbf, 0xbf, 0x41],
      [0xf4, 0x90, 0x80, 0x80, 0x41],
    ]) {
      const expected = `${'\ufffd'.repeat(run.length)}b`
      expect(decodeTokens(fallback, [...run, 257])).toBe(expected)
      const stream = createTokenStream(fallback)
      expect(stream.push([...run, 257]) + stream.flush()).toBe(expected)
    }
  })

  it('keeps what it has shown of a run that turns invalid, where decode does not', () => {
    const stream = createTokenStream(fallback)
    const ids = [...b('é'), 0xff, 257]
    expect(stream.push(ids)).toBe('é\ufffdb')
    expect(decodeTokens(fallback, ids)).toBe('\ufffd\ufffd\ufffdb')
  })

  it('gives nothing for ids without a token', () => {
    expect(decodeTokens(fallback, [257, 280, 257])).toBe('bb')
    expect(createTokenStream(fallback).push([280, 257])).toBe('b')
    // The space at the front is still to come.
    expect(createTokenStream(fallback).push([280, 256, 256])).toBe('a a')
    expect(fallback.vocabulary.bytes(280)).toHaveLength(0)
  })
})
