import type { DraftCandidates, DraftCycle, DraftTree, Frontier, TreePolicy } from '@hass-engine/core'

export type RowsOf = (level: number, rows: number, width: number) => DraftCandidates

/** Runs a cycle; fails instead of looping if a policy never stops asking. */
export function draft(policy: TreePolicy, rowsOf: RowsOf, cycle: DraftCycle = { root: 7 }) {
  const builder = policy.start(cycle)
  const frontiers: Frontier[] = []
  let rows = 1
  for (let level = 0; rows > 0; level++) {
    if (level > 200) throw new Error('the policy never ends a cycle')
    const frontier = builder.expand(rowsOf(level, rows, policy.width))
    frontiers.push(frontier)
    rows = frontier.tokens.length
  }
  return { tree: builder.finish(), frontiers, builder }
}

/** Rows of equal candidates given as probabilities; tokens differ everywhere. */
export function evenRows(probs: readonly number[]): RowsOf {
  return (level, rows, width) => ({
    rows,
    width,
    tokens: Uint32Array.from({ length: rows * width }, (_, i) => 1000 * (level + 1) + i),
    logProbs: Float32Array.from({ length: rows * width }, (_, i) => Math.log(probs[i % width] ?? 0)),
  })
}

/** All that a draft tree promises, whatever made it. */
export function faultsOf(tree: DraftTree): string[] {
  const faults: string[] = []
  const { tokens, parents, depths, logProbs } = tree
  const nodes = tokens.length
  if (nodes < 1 || parents.length !== nodes || depths.length !== nodes || logProbs.length !== nodes) {
    faults.push('lengths')
  }
  if (parents[0] !== -1 || depths[0] !== 0 || logProbs[0] !== 0) faults.push('root')
  const seen = new Set<string>()
  for (let node = 1; node < nodes; node++) {
    const parent = parents[node]!
    if (!(parent >= 0 && parent < node)) faults.push(`parent of ${node}`)
    if (depths[node] !== depths[parent]! + 1) faults.push(`depth of ${node}`)
    if (!(logProbs[node]! <= logProbs[parent]!) || logProbs[node] === -Infinity) faults.push(`logProb of ${node}`)
    if (seen.has(`${parent} ${tokens[node]}`)) faults.push(`twin ${node}`)
    seen.add(`${parent} ${tokens[node]}`)
  }
  return faults
}

/** Milliseconds that grow by so much per row. */
export function linearCosts(perRow: number, first = 1, draftMs = 0.1) {
  return {
    verify: { rows: [1, 101], ms: [first, first + 100 * perRow] },
    draft: { rows: [1], ms: [draftMs] },
  }
}

/** The start, then each step's unit-wise addition. */
export function runningSums(start: number, steps: readonly number[], unit: number): number[] {
  let sum = start
  return [start, ...steps.map((step) => (sum += unit * step))]
}
