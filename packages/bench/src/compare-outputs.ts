import { createHash } from 'node:crypto'
import type { RunRecord, TurnRecord } from './records.js'

/** Where an output first differs from the baseline's. */
export interface Divergence {
  readonly prompt: string
  /** Counted from 0. */
  readonly turn: number
  /** Index of the token, or of the character where tokens are not told; of the shorter output's end where it is a prefix. */
  readonly position: number
}

/** The first difference of two runs on one prompt; undefined if they are the same. Runs that failed have none. */
export function firstDivergence(prompt: string, subject: RunRecord, baseline: RunRecord): Divergence | undefined {
  for (let turn = 0; turn < Math.max(subject.turns.length, baseline.turns.length); turn++) {
    const position = firstDifference(subject.turns[turn]?.output ?? [], baseline.turns[turn]?.output ?? [])
    if (position !== undefined) return { prompt, turn, position }
  }
  return undefined
}

function firstDifference(a: TurnRecord['output'], b: TurnRecord['output']): number | undefined {
  // A text against tokens: nothing is the same.
  if (typeof a !== typeof b) return 0
  const shared = Math.min(a.length, b.length)
  for (let at = 0; at < shared; at++) if (a[at] !== b[at]) return at
  return a.length === b.length ? undefined : shared
}

/**
 * SHA-256 of outputs, hexadecimal: of each turn of each prompt in order, `JSON.stringify` of its tokens (or its text) and
 * a line break; for a run that failed, of the turns that there are.
 */
export function outputsDigest(runs: readonly RunRecord[]): string {
  const hash = createHash('sha256')
  for (const { turns } of runs) for (const { output } of turns) hash.update(`${JSON.stringify(output)}\n`)
  return hash.digest('hex')
}
