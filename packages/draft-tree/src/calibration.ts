import { checkNumber, checkOptionKeys } from '@hass-engine/core'

export interface CalibrationOptions {
  /** Observations that the draft's own probability counts for at each knot, above 0. Defaults to 16. */
  readonly priorCount?: number
  /** Cycles after which an observation counts 1/e, above 0. Defaults to 1000. */
  readonly memory?: number
}

/** Probabilities at which the correction is kept; close together where candidates are many. */
const knots = [
  0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1,
]
/** Depth classes: 1, 2, … and the last for all deeper. */
const depthClasses = 8

/**
 * How probable a drafted candidate is in truth: what the draft says, corrected by what was accepted.
 *
 * At each knot of the draft's probability stands the mean of (accepted − drafted probability), shrunk towards 0 by
 * `priorCount`, over all depths; each depth's own mean is shrunk towards that. An observation counts for its two
 * neighbouring knots by distance, so a draft that is right is left exactly as it is. The corrected curve is made
 * monotone (pool adjacent violators) and linear between knots. Old observations fade, so that no bad luck is
 * for ever.
 */
export class Calibration {
  readonly #priorCount: number
  readonly #keep: number
  readonly #counts = new Float64Array(knots.length * (depthClasses + 1))
  readonly #residuals = new Float64Array(knots.length * (depthClasses + 1))
  readonly #curves = Array.from({ length: depthClasses }, () => Float64Array.from(knots))
  #isStale = false

  constructor(options: CalibrationOptions = {}) {
    checkOptionKeys(options, ['priorCount', 'memory'], 'calibration')
    this.#priorCount = checkNumber(options.priorCount ?? 16, 'calibration.priorCount', { above: 0, below: Infinity })
    this.#keep = Math.exp(-1 / checkNumber(options.memory ?? 1000, 'calibration.memory', { above: 0 }))
  }

  /** The probability that a candidate at `depth` ≥ 1 is the target's choice, given that its parent was accepted. */
  apply(draftProb: number, depth: number): number {
    if (this.#isStale) this.#refresh()
    const prob = clampProb(draftProb)
    const knot = knotBelow(prob)
    const curve = this.#curves[depthClass(depth)]!
    const share = (prob - knots[knot]!) / (knots[knot + 1]! - knots[knot]!)
    return curve[knot]! + share * (curve[knot + 1]! - curve[knot]!)
  }

  /** Records whether a candidate whose parent was accepted was the target's choice. */
  record(draftProb: number, depth: number, isChosen: boolean): void {
    const prob = clampProb(draftProb)
    const knot = knotBelow(prob)
    const share = (prob - knots[knot]!) / (knots[knot + 1]! - knots[knot]!)
    const residual = (isChosen ? 1 : 0) - prob
    for (const group of [0, depthClass(depth) + 1]) {
      const at = group * knots.length + knot
      this.#counts[at]! += 1 - share
      this.#counts[at + 1]! += share
      this.#residuals[at]! += (1 - share) * residual
      this.#residuals[at + 1]! += share * residual
    }
    this.#isStale = true
  }

  /** Lets older observations fade by one cycle. */
  endCycle(): void {
    for (let i = 0; i < this.#counts.length; i++) {
      this.#counts[i]! *= this.#keep
      this.#residuals[i]! *= this.#keep
    }
    this.#isStale = true
  }

  #refresh(): void {
    this.#isStale = false
    const prior = this.#priorCount
    for (let depth = 0; depth < depthClasses; depth++) {
      const curve = this.#curves[depth]!
      const weights = new Float64Array(knots.length)
      for (let knot = 0; knot < knots.length; knot++) {
        const own = (depth + 1) * knots.length + knot
        const pooled = this.#residuals[knot]! / (this.#counts[knot]! + prior)
        const correction = (this.#residuals[own]! + prior * pooled) / (this.#counts[own]! + prior)
        curve[knot] = clampProb(knots[knot]! + correction)
        weights[knot] = this.#counts[own]! + prior
      }
      makeMonotone(curve, weights)
    }
  }
}

function clampProb(prob: number): number {
  return prob > 0 ? Math.min(prob, 1) : 0
}

function depthClass(depth: number): number {
  return Math.min(Math.max(depth, 1), depthClasses) - 1
}

/** The knot at or below a probability that has another above it. */
function knotBelow(prob: number): number {
  let knot = knots.length - 2
  while (knots[knot]! > prob) knot--
  return knot
}

/** Isotonic regression in place: pool adjacent violators. */
export function makeMonotone(values: Float64Array, weights: ArrayLike<number>): void {
  const blocks: { mean: number; weight: number; length: number }[] = []
  for (let i = 0; i < values.length; i++) {
    let block = { mean: values[i]!, weight: weights[i]!, length: 1 }
    for (let last = blocks.at(-1); last && last.mean > block.mean; last = blocks.at(-1)) {
      blocks.pop()
      const weight = last.weight + block.weight
      const mean = (last.mean * last.weight + block.mean * block.weight) / weight
      block = { mean, weight, length: last.length + block.length }
    }
    blocks.push(block)
  }
  let at = 0
  for (const { mean, length } of blocks) {
    values.fill(mean, at, at + length)
    at += length
  }
}
