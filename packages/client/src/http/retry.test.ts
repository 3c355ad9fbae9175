import { describe, expect, it } from 'vitest'
import { parseRetryAfter, retryDelay } from './retry.js'

const now = Date.parse('2026-01-01T00:00:00Z')
const options = { maxRetries: 9, baseMs: 100, maxMs: 1000, maxRetryAfterMs: 5000, random: () => 0.5 }

describe('Retry-After', () => {
  it.each([
    ['5', 5000],
    ['0', 0],
    [' 2.5 ', 2500],
    ['1000000000', 1e12],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Wed, 31 Dec 2025 23:59:00 GMT', undefined],
    ['-1', undefined],
    ['NaN', undefined],
    ['Infinity', undefined],
    ['', undefined],
    ['soon', undefined],
    [undefined, undefined],
  ])('%j is %s', (header, ms) => expect(parseRetryAfter(header, now)).toBe(ms))
})

describe('waiting', () => {
  it('doubles up to the cap, half of it left to chance', () => {
    expect([0, 1, 2, 3, 4, 50].map((retry) => retryDelay(retry, undefined, options))).toEqual([
      75, 150, 300, 600, 750, 750,
    ])
    expect(retryDelay(0, undefined, { ...options, random: () => 0 })).toBe(50)
    expect(retryDelay(0, undefined, { ...options, random: () => 0.999 })).toBeLessThan(100)
  })

  it('is as long as asked, capped, and not the same for everybody', () => {
    expect(retryDelay(0, 2000, options)).toBe(2050)
    expect(retryDelay(0, 1e12, options)).toBe(5050)
    expect(retryDelay(0, 0, options)).toBe(75)
  })
})
