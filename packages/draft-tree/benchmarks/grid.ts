import type { CostTables, TreePolicy } from '@hass-engine/core'
import { chain, dynamicTree, staticTree } from '../src/index.js'

/** Three machines as milliseconds of a pass by its rows. */
export const machines: Readonly<Record<string, CostTables>> = {
  // Bound by weight traffic: rows are nearly free.
  flat: {
    verify: { rows: [1, 64], ms: [20, 22] },
    draft: { rows: [1, 10], ms: [1, 1.1] },
  },
  // Verification as tried on two AVX2 cores; a head of one layer with a draft vocabulary at the same ratios.
  cpu: {
    verify: { rows: [1, 4, 8, 16], ms: [5.6, 5.6 * 1.13, 5.6 * 1.9, 5.6 * 3.7] },
    draft: { rows: [1, 4, 8, 16], ms: [0.4, 0.4 * 1.13, 0.4 * 1.9, 0.4 * 3.7] },
  },
  // Bound by arithmetic: each further row costs a quarter of the first.
  steep: {
    verify: { rows: [1, 64], ms: [10, 10 + 63 * 2.5] },
    draft: { rows: [1, 10], ms: [0.5, 0.5 + 9 * 0.12] },
  },
}

/** Every path of a tree with so many children per node on each level. */
function balanced(branching: readonly number[]): number[][] {
  const paths: number[][] = []
  let level: number[][] = [[]]
  for (const children of branching) {
    level = level.flatMap((path) => Array.from({ length: children }, (_, rank) => [...path, rank]))
    paths.push(...level)
  }
  return paths
}

/** Fixed trees of every kind and size that is in use. */
export function fixedPolicies(): Map<string, TreePolicy> {
  const policies = new Map<string, TreePolicy>()
  for (const depth of [1, 2, 3, 4, 5, 6, 8, 10]) policies.set(`chain ${depth}`, chain({ depth }))
  for (const branching of [
    [2],
    [4],
    [2, 1],
    [2, 2],
    [3, 2, 1],
    [4, 2, 1],
    [2, 1, 1, 1],
    [4, 2, 2, 1],
    [4, 3, 2, 1, 1],
  ]) {
    policies.set(`static ${branching.join('×')}`, staticTree({ paths: balanced(branching) }))
  }
  for (const topK of [2, 4, 10]) {
    for (const depth of [1, 2, 3, 5, 7]) {
      for (const maxNodes of [2, 3, 4, 8, 16, 32, 59]) {
        policies.set(`dynamic k${topK} d${depth} n${maxNodes}`, dynamicTree({ topK, depth, maxNodes }))
      }
    }
  }
  return policies
}
