/** Depth classes: 1, 2, … and the last for all deeper. */
const depthClasses = 8
/** Rows of the past count no more than so many of the current level: what is confident now tends to stay so. */
const pastRows = 4
/** Share that a cycle leaves of the sums before it. */
const keep = 0.995

/**
 * What candidates a draft pass can be expected to bring, before it is run: the mean calibrated probability by rank,
 * from the level just seen and from past rows of the depth in question.
 */
export class RowProfile {
  readonly #width: number
  readonly #sums: Float64Array
  readonly #rows = new Float64Array(depthClasses)

  constructor(width: number) {
    this.#width = width
    this.#sums = new Float64Array(depthClasses * width)
  }

  /** Adds the candidates of one row, best first, at `depth` ≥ 1. */
  record(probs: readonly number[], depth: number): void {
    const group = depthClass(depth)
    this.#rows[group]! += 1
    for (const [rank, prob] of probs.entries()) this.#sums[group * this.#width + rank]! += prob
  }

  /** Lets older rows fade by one cycle. */
  endCycle(): void {
    for (let i = 0; i < this.#sums.length; i++) this.#sums[i]! *= keep
    for (let i = 0; i < this.#rows.length; i++) this.#rows[i]! *= keep
  }

  /**
   * `[width]` probabilities expected of a row at `depth`.
   *
   * @param sums `[width]`, probabilities by rank summed over the `rows` ≥ 1 rows of the level before
   */
  predict(sums: Float64Array, rows: number, depth: number): Float64Array {
    const group = depthClass(depth)
    const past = this.#rows[group]!
    const weight = Math.min(past, pastRows)
    return sums.map((sum, rank) => {
      const pastMean = past > 0 ? this.#sums[group * this.#width + rank]! / past : 0
      return (sum + weight * pastMean) / (rows + weight)
    })
  }
}

function depthClass(depth: number): number {
  return Math.min(depth, depthClasses) - 1
}
