/** How many of the best nodes to verify, and what that is worth. */
export interface RowChoice {
  readonly nodes: number
  /** `Σ gains - rate · (verify ms of all rows - verify ms of the roots alone)`, in tokens */
  readonly surplus: number
}

/**
 * The number of nodes that maximises expected tokens less the price of their time, of equals the smallest.
 *
 * Nodes are worth adding while Δtokens > rate · Δms; as measured curves have steps, every count is looked at.
 *
 * @param gains expected accepted tokens of each node, descending
 * @param verifyMs milliseconds by number of rows
 * @param rate tokens per millisecond
 * @param roots rows that are verified anyway
 * @param limit no more nodes than this
 */
export function bestNodeCount(
  gains: ArrayLike<number>,
  verifyMs: Float64Array,
  rate: number,
  roots: number,
  limit: number,
): RowChoice {
  let nodes = 0
  let surplus = 0
  let tokens = 0
  const base = verifyMs[roots]!
  const count = Math.min(gains.length, limit)
  for (let n = 1; n <= count; n++) {
    tokens += gains[n - 1]!
    const value = tokens - rate * (verifyMs[roots + n]! - base)
    if (value > surplus) {
      surplus = value
      nodes = n
    }
  }
  return { nodes, surplus }
}

/** Tokens that a millisecond is worth: what is emitted at present, but no less than plain decoding would. */
export function priceOfTime(rate: number | undefined, plainMs: number): number {
  const running = rate !== undefined && rate > 0 && rate < Infinity ? rate : 0
  return plainMs > 0 ? Math.max(running, 1 / plainMs) : running
}
