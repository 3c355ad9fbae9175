import type { DraftCandidates, TreePolicy } from '@hass-engine/core'
import { treePolicyCases } from '@hass-engine/core/test'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { draft, evenRows, faultsOf, linearCosts } from '../test/support.js'
import { chain, costAware, dynamicTree, mergePolicies, ngram, plain, staticTree } from './index.js'

const shape = { paths: [[0], [1], [0, 0], [0, 1], [1, 0], [0, 1, 0]] }
const history = [5, 6, 7, 8, 5, 6, 7, 9, 5, 6, 7]
const policies: Record<string, () => TreePolicy> = {
  plain,
  chain: () => chain({ depth: 4 }),
  static: () => staticTree(shape),
  dynamic: () => dynamicTree({ topK: 3, depth: 3, maxNodes: 9 }),
  ngram: () => ngram(),
  'cost-aware': () => costAware({ topK: 3, depth: 4, maxNodes: 12, costs: linearCosts(0.02) }),
  merged: () => mergePolicies([dynamicTree({ topK: 3, depth: 2, maxNodes: 6 }), ngram()], { maxNodes: 10 }),
}
const cycle = { root: 7, history, costs: linearCosts(0.02) }

/** What a head of nobody's making may propose: any numbers, any tokens, rows and entries missing. */
const hostile = fc.record({
  logProbs: fc.array(
    fc.oneof(fc.double({ noInteger: false }), fc.constantFrom(Number.NaN, Infinity, -Infinity, 0, -0.5, -3e38)),
    { minLength: 0, maxLength: 40 },
  ),
  tokens: fc.array(fc.oneof(fc.constantFrom(1, 2, 3, 2 ** 32 - 1, 2 ** 40, -1), fc.nat()), { maxLength: 40 }),
  rows: fc.constantFrom(0, 1, 3, 50, Number.NaN, Infinity),
  width: fc.constantFrom(0, 1, 2, 3, 10, Number.NaN, Infinity, 1.5),
})

describe.each(Object.entries(policies))('%s', (_, create) => {
  for (const { name, run } of treePolicyCases(create)) it(name, run)

  it('makes a valid tree of hostile candidates, and ends', () => {
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 1, maxLength: 8 }), fc.nat(6), (levels, maxDepth) => {
        const policy = create()
        const { tree } = draft(
          policy,
          (level): DraftCandidates => {
            const { rows, width, tokens, logProbs } = levels[level % levels.length]!
            return { rows, width, tokens: Uint32Array.from(tokens), logProbs: Float32Array.from(logProbs) }
          },
          { ...cycle, maxDepth },
        )
        expect(faultsOf(tree)).toEqual([])
        expect(Math.max(...tree.depths)).toBeLessThanOrEqual(maxDepth)
        policy.observe?.(tree, { path: Uint32Array.of(0), bonusToken: 2 ** 31 })
        policy.observe?.(tree, { path: Uint32Array.of(0, ...(tree.tokens.length > 1 ? [1] : [])), bonusToken: 1 })
        expect(faultsOf(policy.start(cycle).finish())).toEqual([])
      }),
      { numRuns: 300 },
    )
  })

  it('is the root alone before candidates come, and where no depth is left', () => {
    const policy = create()
    if (policy.width > 0) {
      const { tokens } = policy.start({ ...cycle, history: [] }).finish()
      expect([...tokens]).toEqual([7])
    }
    const { tree, frontiers } = draft(policy, evenRows([0.5, 0.3, 0.2]), { ...cycle, maxDepth: 0 })
    expect([...tree.tokens]).toEqual([7])
    expect(frontiers).toHaveLength(1)
  })

  it('ignores candidates that come after the last frontier', () => {
    const rows = evenRows([0.5, 0.3, 0.2])
    const { tree, builder } = draft(create(), rows, cycle)
    expect(builder.expand(rows(3, 2, 3)).tokens).toHaveLength(0)
    expect(builder.finish()).toEqual(tree)
  })

  it('numbers parents of a frontier as rows are run', () => {
    const policy = create()
    const rowTokens: number[][] = []
    const { frontiers } = draft(
      policy,
      (level, rows, width) => {
        const candidates = evenRows([0.5, 0.3, 0.2])(level, rows, width)
        for (let row = 0; row < rows; row++)
          rowTokens.push([...candidates.tokens.subarray(row * width, (row + 1) * width)])
        return candidates
      },
      cycle,
    )
    for (const { tokens, parents } of frontiers) {
      for (const [i, token] of tokens.entries()) expect(rowTokens[parents[i]!]).toContain(token)
    }
  })

  it('refuses a depth limit that is no number', () => {
    expect(() => create().start({ ...cycle, maxDepth: Number.NaN })).toThrow('cycle.maxDepth')
  })
})
