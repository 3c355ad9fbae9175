import { type CostCurve, checkNumber, checkOptionKeys, type DraftTree, InvalidArgumentError } from '@hass-engine/core'
import { bestIndices } from './best.js'
import { costTable } from './cost-curve.js'
import { bestNodeCount } from './row-budget.js'
import { monotoneValues, subtree } from './subtree.js'

export interface AllocateOptions {
  /** One tree per sequence. */
  readonly trees: readonly DraftTree[]
  /** Rows of the common verification pass at most, every tree's root included. */
  readonly budget: number
  /**
   * Per tree `[nodes]`, the probability that each node is accepted: `CostAwarePolicy.acceptance`, say. Defaults to
   * exp(logProbs).
   */
  readonly acceptance?: readonly ArrayLike<number>[]
  /** Cost of the common pass by its rows. Without it only the budget ends the taking. */
  readonly verify?: CostCurve
  /** Emitted tokens per millisecond of all sequences together. Defaults to that of their roots alone. */
  readonly rate?: number
}

/**
 * Shares one row budget among several sequences: nodes of all trees are taken in the order of their expected gain
 * while Δtokens > rate · Δms and the budget lasts; equal gains go to the earlier tree, then the earlier node.
 *
 * @returns the trees cut to what was taken, each with its root and closed under parents
 * @throws InvalidArgumentError if the budget is smaller than the number of trees, or the lengths do not fit
 * @throws CostCurveError `HASS_ERR_COST_CURVE`
 */
export function allocate(options: AllocateOptions): DraftTree[] {
  checkOptionKeys(options, ['trees', 'budget', 'acceptance', 'verify', 'rate'], 'allocate')
  const { trees, acceptance } = options
  const roots = trees.length
  const budget = checkNumber(options.budget, 'budget', { min: roots, isInteger: true })
  if (acceptance && acceptance.length !== roots) {
    throw new InvalidArgumentError(`allocate got ${roots} trees and ${acceptance.length} lists of acceptance.`, {
      trees: roots,
      acceptance: acceptance.length,
    })
  }

  const gains: number[] = []
  const owners: { tree: number; node: number }[] = []
  for (const [t, tree] of trees.entries()) {
    const probs = monotoneValues(tree, acceptance?.[t] ?? Float64Array.from(tree.logProbs, Math.exp))
    for (let node = 1; node < probs.length; node++) {
      // What cannot be accepted is never worth a row.
      if (!(probs[node]! > 0)) continue
      gains.push(Math.min(probs[node]!, 1))
      owners.push({ tree: t, node })
    }
  }

  const order = bestIndices(gains, budget - roots)
  const verifyMs = options.verify
    ? costTable(options.verify, roots + order.length, 'verify')
    : new Float64Array(roots + order.length + 1)
  const sorted = Array.from(order, (i) => gains[i]!)
  const rate = priceOf(options.rate, roots, verifyMs[roots]!)
  const { nodes } = bestNodeCount(sorted, verifyMs, rate, roots, order.length)

  const kept: number[][] = trees.map(() => [0])
  for (const i of order.subarray(0, nodes).sort()) kept[owners[i]!.tree]!.push(owners[i]!.node)
  return trees.map((tree, t) => subtree(tree, kept[t]!))
}

function priceOf(rate: number | undefined, roots: number, rootsMs: number): number {
  if (rate !== undefined) return checkNumber(rate, 'rate', { min: 0, below: Infinity })
  return rootsMs > 0 ? roots / rootsMs : 0
}
