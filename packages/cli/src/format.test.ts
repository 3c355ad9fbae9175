import type { GenerationResult } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { formatBytes, formatCount, formatMs, formatTable, statusLine, toJson, tokensPerSecond } from './format.js'

const result: GenerationResult = {
  text: 'a b',
  tokens: Uint32Array.of(1, 2, 3),
  finishReason: 'stop',
  usage: { promptTokens: 7, completionTokens: 11 },
  timings: { prefillMs: 40, firstTokenMs: 41.4, decodeMs: 250, totalMs: 300 },
  speculation: { drafted: 30, accepted: 6, emitted: 10, targetCalls: 4, acceptanceLength: 2.5 },
}

describe('status line', () => {
  it('tells rate, τ, tokens and the time to the first', () => {
    expect(statusLine(result)).toBe('40.0 tokens/s · τ 2.50 · 11 tokens · first after 41 ms')
  })

  it('leaves out what is not known', () => {
    const { speculation: _, ...bare } = result
    const single: GenerationResult = {
      ...bare,
      usage: { promptTokens: 7, completionTokens: 1 },
      timings: { totalMs: 5 },
    }
    expect(statusLine(single)).toBe('1 token')
    expect(tokensPerSecond(bare)).toBe(40)
  })

  it('says that an answer was cut', () => {
    expect(statusLine({ ...result, finishReason: 'length' })).toMatch(/ · cut at the longest answer$/)
  })
})

describe('figures', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [96_577_536, '92.1 MiB'],
    [188_743_680, '180 MiB'],
    [2 ** 60, '1048576 TiB'],
  ])('%d bytes', (bytes, text) => expect(formatBytes(bytes)).toBe(text))

  it.each([
    [9999, '9999'],
    [35_136, '35.1 k'],
    [134_515_008, '134.5 M'],
    [7_241_732_096, '7.24 B'],
  ])('%d parameters', (count, text) => expect(formatCount(count)).toBe(text))

  it('counts long times in seconds', () => {
    expect([formatMs(999.4), formatMs(1234)]).toEqual(['999 ms', '1.2 s'])
  })
})

it('aligns columns, and leaves no blanks at the end', () => {
  expect(formatTable([['a', 'long cell'], ['longer', 'b'], ['c']], ' ')).toBe(' a       long cell\n longer  b\n c')
})

it('keeps 64-bit integers in JSON, as text, and writes token ids as a list', () => {
  const parsed: unknown = JSON.parse(toJson({ seed: 2n ** 64n - 1n, tokens: Uint32Array.of(3, 1) }))
  expect(parsed).toEqual({ seed: '18446744073709551615', tokens: [3, 1] })
})
