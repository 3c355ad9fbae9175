import type { DraftCandidates, DraftTree, Frontier, Token } from '@hass-engine/core'

/** The root, where a candidate's number is asked for: candidates are numbered from 0. */
export const rootCandidate = -1

/**
 * Every candidate that one cycle produced, numbered flat in the order of arrival: level 1 first, then each level by
 * (row of its frontier, rank). What a policy keeps of it is the draft tree.
 *
 * The draft model is not trusted. NaN and -Infinity are no candidates, a log-probability above 0 counts as 0 (so a
 * child is never more probable than its parent), a token that repeats an earlier candidate of its row is left out,
 * and missing rows and entries are simply missing.
 */
export class CandidateTree {
  readonly root: Token
  count = 0
  /** `[count]` */
  tokens = new Uint32Array(128)
  /** `[count]`, number of the candidate that the proposing row read, `rootCandidate` at level 1 */
  parents = new Int32Array(128)
  /** `[count] float32`, log-probability summed from the root */
  scores = new Float32Array(128)
  /** `[count]`, number of the row that proposed the candidate */
  rows = new Uint32Array(128)
  /** Levels taken so far. */
  level = 0
  /** Row r proposed the candidates from `rowStarts[r]` to `rowStarts[r + 1]`, the latter excluded. */
  readonly rowStarts = [0]
  /** `[rows]`, the candidate that each row read; the root's row read the root. */
  readonly rowCandidates = [rootCandidate]
  /** `[rows]`, the depth of the candidates that each row proposes. */
  readonly rowDepths = [1]
  #frontierStart = 0

  constructor(root: Token) {
    this.root = root
  }

  /** Takes the candidates of the last frontier, at most `limit` of each row; returns the number of the first. */
  take(candidates: DraftCandidates, limit: number): number {
    const from = this.count
    for (let row = this.#frontierStart; row < this.rowCandidates.length; row++) {
      if (row - this.#frontierStart < candidates.rows) this.#takeRow(candidates, row, limit)
      this.rowStarts.push(this.count)
    }
    this.#frontierStart = this.rowCandidates.length
    this.level++
    return from
  }

  /** Makes candidates the next frontier; none ends the drafting. */
  extend(chosen: ArrayLike<number>): Frontier {
    const tokens = new Uint32Array(chosen.length)
    const parents = new Uint32Array(chosen.length)
    for (let i = 0; i < chosen.length; i++) {
      const candidate = chosen[i]!
      tokens[i] = this.tokens[candidate]!
      parents[i] = this.rows[candidate]!
      this.rowCandidates.push(candidate)
      this.rowDepths.push(this.level + 1)
    }
    return { tokens, parents }
  }

  /** True once the last frontier was empty: candidates that come then belong to nothing. */
  get hasEnded(): boolean {
    return this.#frontierStart === this.rowCandidates.length
  }

  /** The score of a candidate, 0 for the root. */
  scoreOf(candidate: number): number {
    return candidate === rootCandidate ? 0 : this.scores[candidate]!
  }

  /** The root and the `kept` candidates in the order given: each after its parent, which must be kept too. */
  toDraftTree(kept: ArrayLike<number>): DraftTree {
    const nodes = kept.length + 1
    const tokens = new Uint32Array(nodes)
    const parents = new Int32Array(nodes)
    const depths = new Uint16Array(nodes)
    const logProbs = new Float32Array(nodes)
    const nodeOf = new Int32Array(this.count)
    tokens[0] = this.root
    parents[0] = -1
    for (let node = 1; node < nodes; node++) {
      const candidate = kept[node - 1]!
      const parent = this.parents[candidate]!
      nodeOf[candidate] = node
      tokens[node] = this.tokens[candidate]!
      parents[node] = parent === rootCandidate ? 0 : nodeOf[parent]!
      depths[node] = depths[parents[node]!]! + 1
      logProbs[node] = this.scores[candidate]!
    }
    return { tokens, parents, depths, logProbs }
  }

  #takeRow(candidates: DraftCandidates, row: number, limit: number): void {
    const parent = this.rowCandidates[row]!
    const parentScore = this.scoreOf(parent)
    const from = this.count
    const width = Math.min(candidates.width, limit)
    const start = (row - this.#frontierStart) * candidates.width
    if (this.count + limit > this.tokens.length) this.#grow(this.count + limit)
    for (let rank = 0; rank < width; rank++) {
      const token = candidates.tokens[start + rank]
      // Rounded before it is judged: a sum beyond float32 is -Infinity once it is stored.
      const score = Math.fround(parentScore + Math.min(candidates.logProbs[start + rank] ?? Number.NaN, 0))
      if (token === undefined || !(score > -Infinity) || this.#holds(token, from)) continue
      this.tokens[this.count] = token
      this.parents[this.count] = parent
      this.scores[this.count] = score
      this.rows[this.count] = row
      this.count++
    }
  }

  #holds(token: Token, from: number): boolean {
    for (let candidate = from; candidate < this.count; candidate++) if (this.tokens[candidate] === token) return true
    return false
  }

  #grow(wanted: number): void {
    const capacity = Math.max(2 * this.tokens.length, wanted)
    const grown = <T extends { set(from: T): void }>(array: T, copy: T): T => {
      copy.set(array)
      return copy
    }
    this.tokens = grown(this.tokens, new Uint32Array(capacity))
    this.parents = grown(this.parents, new Int32Array(capacity))
    this.scores = grown(this.scores, new Float32Array(capacity))
    this.rows = grown(this.rows, new Uint32Array(capacity))
  }
}
