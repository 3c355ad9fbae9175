import type { CostTables, DraftCandidates, DraftTree, TreePolicy, Verdict } from '@hass-engine/core'

/** What a draft model and a target did with one text, so that any tree policy can be driven over it again. */
export interface Recording {
  /** The text as the target chooses it. */
  readonly text: ArrayLike<number>
  /** The first position that is a root. */
  readonly start: number
  /** What the draft model proposes after the drafted `path` behind the root at `position`. */
  candidates(position: number, path: readonly number[], width: number): RecordedRow
}

export interface RecordedRow {
  readonly tokens: ArrayLike<number>
  readonly logProbs: ArrayLike<number>
}

export interface SimulationResult {
  readonly cycles: number
  readonly emitted: number
  readonly drafted: number
  /** Passes by their number of rows. */
  readonly passes: { readonly draft: Map<number, number>; readonly verify: Map<number, number> }
}

/**
 * Decodes recorded texts with a policy on a machine that is a cost table: a cycle costs one draft pass over the root,
 * one per frontier and the verification of the tree. The running rate is that of the last fifty cycles or so.
 */
export function simulate(policy: TreePolicy, recordings: readonly Recording[], costs: CostTables): SimulationResult {
  let [cycles, emitted, drafted] = [0, 0, 0]
  let [recentEmitted, recentMs] = [0, 0]
  const passes = { draft: new Map<number, number>(), verify: new Map<number, number>() }
  for (const recording of recordings) {
    let position = recording.start
    while (position + 1 < recording.text.length) {
      const rate = recentMs > 0 ? recentEmitted / recentMs : undefined
      const { tree, frontiers } = draftCycle(policy, recording, position, costs, rate)
      const verdict = walk(tree, recording.text, position)
      policy.observe?.(tree, verdict)
      for (const rows of frontiers) count(passes.draft, rows)
      count(passes.verify, tree.tokens.length)
      position += verdict.path.length
      cycles++
      emitted += verdict.path.length
      drafted += tree.tokens.length - 1
      recentEmitted = recentEmitted * 0.98 + verdict.path.length
      recentMs = recentMs * 0.98 + frontiers.reduce((sum, rows) => sum + costAt(costs.draft, rows), 0)
      recentMs += costAt(costs.verify, tree.tokens.length)
    }
  }
  return { cycles, emitted, drafted, passes }
}

/** What a run takes on a machine: a fixed tree drafts the same on every machine, so one run serves them all. */
export function tokensPerSecond({ emitted, passes }: SimulationResult, costs: CostTables): number {
  let ms = 0
  for (const [rows, times] of passes.draft) ms += times * costAt(costs.draft, rows)
  for (const [rows, times] of passes.verify) ms += times * costAt(costs.verify, rows)
  return (1000 * emitted) / ms
}

function count(times: Map<number, number>, rows: number): void {
  times.set(rows, (times.get(rows) ?? 0) + 1)
}

function draftCycle(policy: TreePolicy, recording: Recording, position: number, costs: CostTables, rate?: number) {
  const builder = policy.start({
    root: recording.text[position]!,
    // The walk needs the target's choice after the deepest node.
    maxDepth: recording.text.length - 2 - position,
    costs,
    ...(rate === undefined ? {} : { rate }),
  })
  const paths: (readonly number[])[] = [[]]
  let asked = paths.slice()
  const frontiers: number[] = []
  while (asked.length > 0) {
    frontiers.push(asked.length)
    const rows = asked.map((path) => recording.candidates(position, path, policy.width))
    const frontier = builder.expand(toCandidates(rows, policy.width))
    asked = Array.from(frontier.tokens, (token, i) => [...paths[frontier.parents[i]!]!, token])
    paths.push(...asked)
  }
  return { tree: builder.finish(), frontiers }
}

function toCandidates(rows: readonly RecordedRow[], width: number): DraftCandidates {
  const tokens = new Uint32Array(rows.length * width)
  const logProbs = new Float32Array(rows.length * width).fill(-Infinity)
  for (const [row, recorded] of rows.entries()) {
    for (let rank = 0; rank < Math.min(width, recorded.tokens.length); rank++) {
      tokens[row * width + rank] = recorded.tokens[rank]!
      logProbs[row * width + rank] = recorded.logProbs[rank]!
    }
  }
  return { rows: rows.length, width, tokens, logProbs }
}

function walk(tree: DraftTree, text: ArrayLike<number>, position: number): Verdict {
  const path = [0]
  for (;;) {
    const node = path[path.length - 1]!
    const choice = text[position + path.length]!
    const child = tree.tokens.findIndex((token, at) => tree.parents[at] === node && token === choice)
    if (child === -1) return { path: Uint32Array.from(path), bonusToken: choice }
    path.push(child)
  }
}

/** Linear between measured points and on along the last two. */
function costAt({ rows, ms }: CostTables['verify'], at: number): number {
  let right = rows.findIndex((measured) => measured >= at)
  if (right === 0 || rows[right] === at) return ms[right]!
  if (right === -1) right = rows.length - 1
  const slope = (ms[right]! - ms[right - 1]!) / (rows[right]! - rows[right - 1]!)
  return ms[right]! + slope * (at - rows[right]!)
}
