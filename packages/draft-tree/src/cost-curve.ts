import type { CostCurve, CostTables } from '@hass-engine/core'
import { CostCurveError } from './errors.js'

/**
 * Milliseconds for 0 to `rows` rows, `[rows + 1]`: linear between the measured points, their first value before
 * them, and on along the last two points (never downwards) behind them. No rows cost nothing.
 *
 * @throws CostCurveError `HASS_ERR_COST_CURVE` unless rows ascend from at least 1 and ms are finite and not negative
 */
export function costTable(curve: CostCurve, rows: number, name: string): Float64Array {
  checkCurve(curve, name)
  const table = new Float64Array(rows + 1)
  const points = curve.rows.length
  let next = 0
  for (let r = 1; r <= rows; r++) {
    while (next < points && curve.rows[next]! < r) next++
    table[r] = next === points ? extrapolate(curve, r) : interpolate(curve, next, r)
  }
  return table
}

function interpolate({ rows, ms }: CostCurve, next: number, at: number): number {
  if (next === 0 || rows[next] === at) return ms[next]!
  const share = (at - rows[next - 1]!) / (rows[next]! - rows[next - 1]!)
  return ms[next - 1]! + share * (ms[next]! - ms[next - 1]!)
}

function extrapolate({ rows, ms }: CostCurve, at: number): number {
  const last = rows.length - 1
  const slope = last === 0 ? 0 : (ms[last]! - ms[last - 1]!) / (rows[last]! - rows[last - 1]!)
  return ms[last]! + Math.max(0, slope) * (at - rows[last]!)
}

function checkCurve(curve: CostCurve, name: string): void {
  const points = curve.rows.length
  const isCurve =
    points > 0 &&
    curve.ms.length === points &&
    curve.rows.every((rows, i) => rows >= 1 && rows < Infinity && (i === 0 || rows > curve.rows[i - 1]!)) &&
    curve.ms.every((ms) => ms >= 0 && ms < Infinity)
  if (isCurve) return
  throw new CostCurveError(
    `The cost curve ${name} has rows [${curve.rows.slice(0, 8)}] and ms [${curve.ms.slice(0, 8)}]; expected ascending rows from 1 on, and as many finite, non-negative milliseconds.`,
    { name, rows: curve.rows, ms: curve.ms },
  )
}

/** Both tables of a machine, as arrays by row count. */
export interface CostArrays {
  readonly verify: Float64Array
  readonly draft: Float64Array
}

/** Expands cost tables once per object: they are measured at load and passed with every cycle. */
export class CostCache {
  readonly #arrays = new WeakMap<CostTables, CostArrays>()
  readonly #verifyRows: number
  readonly #draftRows: number

  constructor(verifyRows: number, draftRows: number) {
    this.#verifyRows = verifyRows
    this.#draftRows = draftRows
  }

  get(costs: CostTables): CostArrays {
    let arrays = this.#arrays.get(costs)
    if (!arrays) {
      arrays = {
        verify: costTable(costs.verify, this.#verifyRows, 'verify'),
        draft: costTable(costs.draft, this.#draftRows, 'draft'),
      }
      this.#arrays.set(costs, arrays)
    }
    return arrays
  }
}
