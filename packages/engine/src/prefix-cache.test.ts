import type { TargetSequence } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { PrefixCache } from './prefix-cache.js'

/** A sequence that counts who is alive; its name says what it is a fork of. */
function createWorld() {
  const live = new Set<FakeSequence>()
  class FakeSequence implements TargetSequence {
    constructor(
      readonly name: string,
      readonly length: number,
    ) {
      live.add(this)
    }
    fork({ length }: { length: number }) {
      expect(length).toBeLessThanOrEqual(this.length)
      return new FakeSequence(this.name, length)
    }
    commit() {}
    dispose() {
      live.delete(this)
    }
  }
  const caches = (name: string, target: number, draft?: number) => ({
    target: new FakeSequence(name, target),
    draft: draft === undefined ? undefined : new FakeSequence(`${name} draft`, draft),
  })
  const shared = (cache: PrefixCache, tokens: readonly number[], needsDraft = false) => {
    const found = cache.share(tokens, needsDraft)
    const lengths = found && [(found.target as FakeSequence).name, found.target.length, found.draft?.length]
    found?.target.dispose()
    found?.draft?.dispose()
    return lengths
  }
  return { live, caches, shared }
}

describe('PrefixCache', () => {
  it('shares the longest common beginning, and leaves a token to be computed', () => {
    const { caches, shared, live } = createWorld()
    const cache = new PrefixCache(4)
    cache.keep([1, 2, 3, 4], caches('a', 3))
    cache.keep([1, 2, 9, 9, 9], caches('b', 4))
    expect(shared(cache, [1, 2, 3, 4, 5])).toEqual(['a', 3, undefined])
    expect(shared(cache, [1, 2, 3])!.slice(1)).toEqual([2, undefined])
    expect(shared(cache, [1, 2, 9, 9, 9])).toEqual(['b', 4, undefined])
    expect(shared(cache, [7, 2])).toBeUndefined()
    expect(shared(cache, [1])).toBeUndefined()
    cache.clear()
    expect(live.size).toBe(0)
  })

  it('gives the draft no row that has read a token of the other text, nor more than the draft has', () => {
    const { caches, shared } = createWorld()
    const cache = new PrefixCache(4)
    cache.keep([1, 2, 3, 4, 5], caches('a', 4, 3))
    expect(shared(cache, [1, 2, 3, 8], true)).toEqual(['a', 2, 2])
    expect(shared(cache, [1, 2, 3, 4, 5, 6], true)).toEqual(['a', 3, 3])
    expect(shared(cache, [1, 2, 3, 4, 5, 6], false)).toEqual(['a', 4, undefined])
    cache.keep([1, 2, 3, 4, 5, 6, 7], caches('plain', 6))
    expect(shared(cache, [1, 2, 3, 4, 5, 6, 7], true)).toEqual(['a', 3, 3])
    expect(shared(cache, [1, 2, 3, 4, 5, 6, 7], false)).toEqual(['plain', 6, undefined])
  })

  it('forgets what a longer text makes needless, and the least recently used', () => {
    const { caches, shared, live } = createWorld()
    const cache = new PrefixCache(2)
    cache.keep([1, 2, 3], caches('turn 1', 2))
    cache.keep([1, 2, 3, 4, 5], caches('turn 2', 4))
    expect(live.size).toBe(1)
    cache.keep([6, 6, 6], caches('other', 2))
    expect(shared(cache, [1, 2, 3, 4])).toEqual(['turn 2', 3, undefined])
    cache.keep([7, 7, 7], caches('third', 2))
    expect(shared(cache, [6, 6, 6])).toBeUndefined()
    expect(shared(cache, [1, 2, 3, 4])).toEqual(['turn 2', 3, undefined])
    expect([cache.evict(), cache.evict(), cache.evict(), live.size]).toEqual([true, true, false, 0])
  })

  it('keeps nothing without capacity, without rows, or where sequences cannot be shared', () => {
    const { caches, live } = createWorld()
    new PrefixCache(0).keep([1, 2], caches('a', 1, 1))
    const cache = new PrefixCache(1)
    cache.keep([1], caches('empty', 0, 0))
    const { target } = caches('unshareable', 1)
    cache.keep([1, 2], { target: Object.assign(target, { fork: undefined }) as TargetSequence, draft: undefined })
    expect([live.size, cache.evict()]).toEqual([0, false])
  })
})
