import {
  type CostTables,
  checkNumber,
  checkOptionKeys,
  type DraftCandidates,
  type DraftCycle,
  type DraftTree,
  type Frontier,
  type TreeBuilder,
  type TreePolicy,
  type Verdict,
} from '@hass-engine/core'
import { bestIndices } from './best.js'
import { Calibration, type CalibrationOptions } from './calibration.js'
import { CandidateTree, rootCandidate } from './candidate-tree.js'
import { type CostArrays, CostCache } from './cost-curve.js'
import { CostCurveError } from './errors.js'
import { FreeGains } from './free-gains.js'
import { checkNodes, checkTopK, levelsOf, limits } from './limits.js'
import { bestNodeCount, priceOfTime } from './row-budget.js'
import { RowProfile } from './row-profile.js'

export interface CostAwareOptions {
  /** Candidates per row, and rows of a frontier at most, 1 to 128. Defaults to 10. */
  readonly topK?: number
  /** Draft passes after the root's at most, 0 to 127. Defaults to 9. */
  readonly depth?: number
  /** Nodes of a tree at most, the root excluded, 1 to 4096. Defaults to 59. */
  readonly maxNodes?: number
  /** Used where a cycle brings no tables of its own. */
  readonly costs?: CostTables
  readonly calibration?: CalibrationOptions
}

export interface CostAwarePolicy extends TreePolicy {
  observe(tree: DraftTree, verdict: Verdict): void
  /**
   * `[nodes] float64`, the calibrated probability that each node of any tree is accepted, 1 at the root; their sum
   * is the expected number of emitted tokens.
   */
  acceptance(tree: DraftTree): Float64Array
}

/**
 * The tree that maximises expected emitted tokens per measured millisecond: nodes and levels are added while
 * Δtokens > rate · Δms, with the cycle's running rate, which is taken to be no lower than plain decoding's.
 *
 * Candidates count with calibrated probabilities; `observe` calibrates them against what was accepted. Nodes that a
 * cycle has for free are counted before drafting: where the text repeats itself, little is left to draft.
 *
 * @throws InvalidArgumentError for an unknown option or a number out of bounds
 * @throws CostCurveError `HASS_ERR_COST_CURVE`, from `start`, if neither options nor cycle bring valid cost tables
 */
export function costAware(options: CostAwareOptions = {}): CostAwarePolicy {
  checkOptionKeys(options, ['topK', 'depth', 'maxNodes', 'costs', 'calibration'], 'costAware')
  const topK = checkTopK(options.topK ?? 10, 'topK')
  const depth = checkNumber(options.depth ?? 9, 'depth', { min: 0, max: limits.depth - 1, isInteger: true })
  const maxNodes = checkNodes(options.maxNodes ?? 59, 'maxNodes')
  const calibration = new Calibration(options.calibration)
  const profile = new RowProfile(topK)
  const costCache = new CostCache(maxNodes + 1, topK)
  if (options.costs) costCache.get(options.costs)
  const builders = new WeakMap<DraftTree, CostAwareBuilder>()

  return {
    name: 'cost-aware',
    width: topK,
    maxNodes,
    start(cycle): TreeBuilder {
      const tables = cycle.costs ?? options.costs
      if (!tables) {
        throw new CostCurveError('costAware has no cost tables; measure them and pass them as costs.', {})
      }
      const costs = costCache.get(tables)
      const levels = levelsOf(cycle, depth + 1)
      const builder = new CostAwareBuilder(cycle, { topK, levels, maxNodes, costs, calibration, profile })
      return {
        ...(!builder.isWorthDrafting() && { width: 0 }),
        expand: (candidates) => builder.expand(candidates),
        finish() {
          const tree = builder.finish()
          builders.set(tree, builder)
          return tree
        },
      }
    },
    observe(tree, verdict) {
      const builder = builders.get(tree)
      if (builder) builder.observe(tree, verdict)
      else recordTree(calibration, tree, verdict)
      calibration.endCycle()
      profile.endCycle()
    },
    acceptance: (tree) => acceptanceOf(calibration, tree),
  }
}

interface BuilderParts {
  readonly topK: number
  readonly levels: number
  readonly maxNodes: number
  readonly costs: CostArrays
  readonly calibration: Calibration
  readonly profile: RowProfile
}

class CostAwareBuilder {
  readonly #parts: BuilderParts
  readonly #tree: CandidateTree
  readonly #rate: number
  readonly #free: FreeGains | undefined
  /** `[candidates]`, calibrated probability of being accepted after the parent, as the draft sees it */
  readonly #probs: number[] = []
  /** `[candidates]`, probability of being accepted */
  readonly #reach: number[] = []

  constructor(cycle: DraftCycle, parts: BuilderParts) {
    this.#parts = parts
    this.#free = cycle.free && new FreeGains(cycle.free)
    this.#tree = new CandidateTree(cycle.root)
    this.#rate = priceOfTime(cycle.rate, parts.costs.verify[1]!)
  }

  /** False where free nodes leave too little for the root's own pass to bring. */
  isWorthDrafting(): boolean {
    const { topK, maxNodes, costs, profile } = this.#parts
    if (!this.#free) return true
    const children = profile.predict(new Float64Array(topK), 0, 1)
    // No row was seen yet.
    if (Number.isNaN(children[0])) return true
    const free = this.#free.rest()
    const gains = mergeDescending(free, children, this.#free.missAfter(rootCandidate), maxNodes)
    return this.#surplus(gains) - this.#rate * costs.draft[1]! > this.#surplus(free)
  }

  expand(candidates: DraftCandidates): Frontier {
    const { topK, levels, calibration } = this.#parts
    const tree = this.#tree
    if (tree.hasEnded || levels === 0) return tree.extend([])
    const from = tree.take(candidates, topK)
    for (let candidate = from; candidate < tree.count; candidate++) {
      const parent = tree.parents[candidate]!
      const prob = calibration.apply(this.#draftProb(candidate), tree.level)
      const above = parent === rootCandidate ? 1 : this.#reach[parent]!
      this.#probs[candidate] = prob
      this.#reach[candidate] = Math.max(above * prob, this.#free?.match(tree, candidate) ?? 0)
    }
    return tree.extend(tree.level < levels && tree.count > from ? this.#chooseFrontier(from) : [])
  }

  finish(): DraftTree {
    const { maxNodes, costs } = this.#parts
    const best = bestIndices(this.#reach, maxNodes)
    const gains = Array.from(best, (candidate) => this.#reach[candidate]!)
    const { nodes } = bestNodeCount(gains, costs.verify, this.#rate, 1, maxNodes)
    // Closed under parents: a parent is accepted no less often than its child and stands before it.
    return this.#tree.toDraftTree(best.subarray(0, nodes).sort())
  }

  /** Every candidate of every row that the walk visited says something, whether the tree held it or not. */
  observe(draft: DraftTree, verdict: Verdict): void {
    const { calibration } = this.#parts
    const tree = this.#tree
    this.#recordRows()
    let row = 0
    for (let depth = 1; row !== -1; depth++) {
      const node = verdict.path[depth]
      const choice = node === undefined ? verdict.bonusToken : draft.tokens[node]
      let chosen = -2
      for (let candidate = tree.rowStarts[row]!; candidate < tree.rowStarts[row + 1]!; candidate++) {
        const isChosen = tree.tokens[candidate] === choice
        if (isChosen) chosen = candidate
        calibration.record(this.#draftProb(candidate), depth, isChosen)
      }
      row = node === undefined ? -1 : tree.rowCandidates.indexOf(chosen)
    }
  }

  #recordRows(): void {
    const { rowStarts, rowDepths } = this.#tree
    // A row that was asked for may never have come.
    for (let row = 0; row + 1 < rowStarts.length; row++) {
      const probs = this.#rowProbs(row)
      if (probs.length > 0) this.#parts.profile.record(probs, rowDepths[row]!)
    }
  }

  /** Calibrated probabilities of a row's candidates, given that the walk comes to it; none if it never does. */
  #rowProbs(row: number): number[] {
    const { rowStarts, rowCandidates } = this.#tree
    const parent = rowCandidates[row]!
    const above = parent === rootCandidate ? 1 : this.#reach[parent]!
    return above > 0 ? this.#probs.slice(rowStarts[row]!, rowStarts[row + 1]!) : []
  }

  /** The probability that the draft gives a candidate after its parent. */
  #draftProb(candidate: number): number {
    return Math.exp(this.#tree.scores[candidate]! - this.#tree.scoreOf(this.#tree.parents[candidate]!))
  }

  /** As many of the last level's best as are worth a draft pass, by the candidates that it can be expected to bring. */
  #chooseFrontier(from: number): Uint32Array {
    const { topK, maxNodes, costs } = this.#parts
    const frontier = bestIndices(this.#reach, topK, from)
    const children = this.#predictChildren(from)
    const best = Float64Array.from(bestIndices(this.#reach, maxNodes), (candidate) => this.#reach[candidate]!)
    let gains = this.#free ? mergeDescending(best, this.#free.rest(), 1, maxNodes) : best
    let bestRows = 0
    let bestSurplus = this.#surplus(gains)
    for (let rows = 1; rows <= frontier.length; rows++) {
      const candidate = frontier[rows - 1]!
      const reach = this.#reach[candidate]! * (this.#free?.missAfter(candidate) ?? 1)
      gains = mergeDescending(gains, children, reach, maxNodes)
      const surplus = this.#surplus(gains)
      if (surplus - this.#rate * costs.draft[rows]! <= bestSurplus) continue
      bestSurplus = surplus - this.#rate * costs.draft[rows]!
      bestRows = rows
    }
    return frontier.subarray(0, bestRows)
  }

  #surplus(gains: Float64Array): number {
    const { costs, maxNodes } = this.#parts
    return bestNodeCount(gains, costs.verify, this.#rate, 1, maxNodes).surplus
  }

  #predictChildren(from: number): Float64Array {
    const { topK, profile } = this.#parts
    const sums = new Float64Array(topK)
    const firstRow = this.#tree.rows[from]!
    for (let row = firstRow; row < this.#tree.rowCandidates.length; row++) {
      for (const [rank, prob] of this.#rowProbs(row).entries()) sums[rank]! += prob
    }
    return profile
      .predict(sums, this.#tree.rowCandidates.length - firstRow, this.#tree.level + 1)
      .sort()
      .reverse()
  }
}

/** The largest `limit` of both lists, descending as they are, the second one's numbers times `factor`. */
function mergeDescending(first: Float64Array, second: Float64Array, factor: number, limit: number): Float64Array {
  const merged = new Float64Array(Math.min(first.length + second.length, limit))
  for (let at = 0, a = 0, b = 0; at < merged.length; at++) {
    const [left, right] = [first[a] ?? -1, (second[b] ?? -1) * factor]
    if (left >= right) a++
    else b++
    merged[at] = Math.max(left, right)
  }
  return merged
}

function acceptanceOf(calibration: Calibration, tree: DraftTree): Float64Array {
  const result = new Float64Array(tree.tokens.length)
  result[0] = 1
  for (let node = 1; node < result.length; node++) {
    result[node] = result[tree.parents[node]!]! * calibration.apply(draftProbOf(tree, node), tree.depths[node]!)
  }
  return result
}

/** Calibrates on a tree of unknown origin: only the nodes that it holds say something. */
function recordTree(calibration: Calibration, tree: DraftTree, verdict: Verdict): void {
  for (let node = 1; node < tree.tokens.length; node++) {
    const depth = tree.depths[node]!
    if (verdict.path[depth - 1] !== tree.parents[node]) continue
    const next = verdict.path[depth]
    const choice = next === undefined ? verdict.bonusToken : tree.tokens[next]
    calibration.record(draftProbOf(tree, node), depth, tree.tokens[node] === choice)
  }
}

function draftProbOf(tree: DraftTree, node: number): number {
  return Math.exp(tree.logProbs[node]! - tree.logProbs[tree.parents[node]!]!)
}
