/** A test that a right sampler fails once in a million runs; with fixed seeds it fails never or always. */
export const alpha = 1e-6

export interface ChiSquare {
  readonly statistic: number
  readonly degreesOfFreedom: number
  /** The chance that a right sampler is at least this far off. */
  readonly pValue: number
}

/**
 * Pearson's test of counts against exact probabilities. Outcomes expected less than five times are pooled; one that
 * cannot happen but did is no matter of chance, so the p-value is 0.
 */
export function chiSquare(counts: ReadonlyMap<string, number>, probs: ReadonlyMap<string, number>): ChiSquare {
  let samples = 0
  for (const [outcome, count] of counts) {
    samples += count
    if (!(probs.get(outcome)! > 0)) return { statistic: Infinity, degreesOfFreedom: 0, pValue: 0 }
  }
  const cells: { observed: number; expected: number }[] = []
  const pool = { observed: 0, expected: 0 }
  for (const [outcome, prob] of probs) {
    const cell = { observed: counts.get(outcome) ?? 0, expected: prob * samples }
    if (cell.expected >= 5) {
      cells.push(cell)
      continue
    }
    pool.observed += cell.observed
    pool.expected += cell.expected
  }
  if (pool.expected >= 5 || cells.length === 0) cells.push(pool)
  else if (pool.expected > 0) {
    cells[0]!.observed += pool.observed
    cells[0]!.expected += pool.expected
  }
  const statistic = cells.reduce((sum, { observed, expected }) => sum + (observed - expected) ** 2 / expected, 0)
  const degreesOfFreedom = cells.length - 1
  return {
    statistic,
    degreesOfFreedom,
    pValue: degreesOfFreedom === 0 ? 1 : upperGamma(degreesOfFreedom / 2, statistic / 2),
  }
}

/** The regularized upper incomplete gamma function Q(a, x): a series below a + 1, a continued fraction above. */
export function upperGamma(a: number, x: number): number {
  if (x <= 0) return 1
  const scale = Math.exp(a * Math.log(x) - x - logGamma(a))
  if (x < a + 1) {
    let term = 1 / a
    let sum = term
    for (let n = 1; term > sum * 1e-16; n++) {
      term *= x / (a + n)
      sum += term
    }
    return 1 - sum * scale
  }
  // Lentz's method for 1 / (x + 1 − a − 1(1 − a) / (x + 3 − a − …)).
  let b = x + 1 - a
  let c = Infinity
  let d = 1 / b
  let fraction = d
  for (let n = 1; n < 10_000; n++) {
    const numerator = -n * (n - a)
    b += 2
    d = 1 / (numerator * d + b)
    c = b + numerator / c
    fraction *= c * d
    if (Math.abs(c * d - 1) < 1e-15) break
  }
  return scale * fraction
}

/** ln Γ(a) by Stirling's series, after stepping up to where the series is good. */
function logGamma(a: number): number {
  let shift = 0
  let x = a
  for (; x < 20; x++) shift -= Math.log(x)
  const series = 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5)
  return shift + (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series
}
