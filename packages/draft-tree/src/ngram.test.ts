import { InvalidArgumentError } from '@hass-engine/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { faultsOf } from '../test/support.js'
import { type NgramOptions, ngram } from './ngram.js'

function lookup(history: readonly number[], options: NgramOptions = {}, maxDepth?: number) {
  const root = history[history.length - 1] ?? 0
  return ngram(options)
    .start({ root, history, ...(maxDepth === undefined ? {} : { maxDepth }) })
    .finish()
}

describe('ngram', () => {
  it('proposes what followed the longest match', () => {
    //               [1 2 3] then 4 5           [9 3] then 6       … 1 2 3
    const tree = lookup([1, 2, 3, 4, 5, 0, 9, 3, 6, 0, 1, 2, 3], { minMatch: 1, depth: 2 })
    expect([...tree.tokens]).toEqual([3, 4, 5])
    expect([...tree.parents]).toEqual([-1, 0, 1])
  })

  it('unites continuations of equally long matches, likelier ones by count', () => {
    const tree = lookup([1, 2, 7, 1, 2, 8, 1, 2, 7, 1, 2], { maxMatch: 2, depth: 1 })
    expect([...tree.tokens]).toEqual([2, 7, 8])
    expect(tree.logProbs[1]! - tree.logProbs[2]!).toBeCloseTo(Math.log(2), 5)
  })

  it('looks at the latest matches, no more than asked for', () => {
    expect([...lookup([1, 2, 7, 1, 2, 8, 1, 2], { depth: 1, matches: 1, maxMatch: 2 }).tokens]).toEqual([2, 8])
    const two = [6, 1, 2, 7, 1, 2, 8, 5, 1, 2]
    expect([...lookup(two, { depth: 1, matches: 1, maxMatch: 3 }).tokens]).toEqual([2, 8])
    expect([...lookup([1, 2, 7, 0, 1, 2], { window: 3 }).tokens]).toEqual([2])
  })

  it('is the root alone where nothing matches, or no text is given', () => {
    expect([...lookup([1, 2, 3]).tokens]).toEqual([3])
    expect([...lookup([5]).tokens]).toEqual([5])
    expect([...ngram().start({ root: 4 }).finish().tokens]).toEqual([4])
    expect([...lookup([1, 1, 1, 1], {}, 0).tokens]).toEqual([1])
  })

  it('makes valid trees of any text, every path of which stands in the text', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(2), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 20 }),
        (history, maxNodes) => {
          const tree = lookup(history, { minMatch: 1, maxNodes })
          expect(faultsOf(tree)).toEqual([])
          expect(tree.tokens.length).toBeLessThanOrEqual(maxNodes + 1)
          const text = ` ${history.join(' ')} `
          const words: string[] = []
          for (const [node, token] of tree.tokens.entries()) {
            words.push(`${node === 0 ? '' : words[tree.parents[node]!]} ${token}`)
            expect(text).toContain(`${words[node]} `)
          }
        },
      ),
    )
  })

  it('learns how often a match is right', () => {
    const policy = ngram({ depth: 3 })
    const cycle = { root: 2, history: [1, 2, 3, 4, 5, 1, 2] }
    const first = policy.start(cycle).finish()
    for (let i = 0; i < 50; i++) {
      policy.observe?.(policy.start(cycle).finish(), { path: Uint32Array.of(0, 1, 2, 3), bonusToken: 9 })
    }
    const better = policy.start(cycle).finish()
    expect(better.logProbs[1]).toBeGreaterThan(first.logProbs[1]!)
    expect(better.logProbs[3]).toBeGreaterThan(-0.5)
    for (let i = 0; i < 400; i++) {
      policy.observe?.(policy.start(cycle).finish(), { path: Uint32Array.of(0), bonusToken: 9 })
    }
    const worse = policy.start(cycle).finish()
    expect(worse.logProbs[1]).toBeLessThan(first.logProbs[1]!)
    policy.observe?.(first.tokens.length > 0 ? { ...first } : first, { path: Uint32Array.of(0), bonusToken: 9 })
    expect(policy.start(cycle).finish()).toEqual(worse)
  })

  it('counts a token that was emitted where a cut tree ended as right', () => {
    const [whole, cut] = [ngram({ depth: 3 }), ngram({ depth: 3 })]
    const cycle = { root: 2, history: [1, 2, 3, 4, 5, 1, 2] }
    for (let i = 0; i < 50; i++) {
      whole.observe?.(whole.start(cycle).finish(), { path: Uint32Array.of(0, 1), bonusToken: 9 })
      // Node 2 holds token 4: the pass did not see it, but the target chose it.
      cut.observe?.(cut.start(cycle).finish(), { path: Uint32Array.of(0, 1), bonusToken: 4 })
    }
    const [wrong, right] = [whole, cut].map((policy) => policy.start(cycle).finish().logProbs)
    expect(right![1]).toBe(wrong![1])
    expect(right![2]).toBeGreaterThan(wrong![2]!)
  })

  it.each<NgramOptions>([
    { minMatch: 0 },
    { minMatch: 3, maxMatch: 2 },
    { depth: 0 },
    { matches: 0 },
    { maxNodes: 0 },
    { window: 0 },
    { n: 3 } as NgramOptions,
  ])('refuses %o', (options) => {
    expect(() => ngram(options)).toThrow(InvalidArgumentError)
  })
})
