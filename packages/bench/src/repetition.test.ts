import { describe, expect, it } from 'vitest'
import { isLooping } from './repetition.js'

const repeat = (pattern: readonly number[], length: number) =>
  Array.from({ length }, (_, i) => pattern[i % pattern.length]!)
const counting = (length: number) => Array.from({ length }, (_, i) => i + 100)

describe('isLooping', () => {
  it.each([1, 2, 7, 16])('sees 32 tokens of period %d at the end', (period) => {
    expect(isLooping([...counting(10), ...repeat(counting(period), 32)])).toBe(true)
  })

  it.each([17, 32])('wants a period of %d twice', (period) => {
    const pattern = counting(period)
    expect(isLooping([...pattern, ...pattern])).toBe(true)
    expect(isLooping([...pattern, ...pattern].slice(1))).toBe(false)
  })

  it('wants the loop at the very end, and 32 tokens of it', () => {
    expect(isLooping([...repeat([1, 2], 40), 9])).toBe(false)
    expect(isLooping([...counting(40), ...repeat([1, 2], 30)])).toBe(false)
    expect(isLooping([])).toBe(false)
    expect(isLooping(counting(200))).toBe(false)
  })
})
