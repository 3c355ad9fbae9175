import { createRandom } from '@hass-engine/core/test'

/** What may differ between two runs, by name: every value of every factor. */
export type Factors = Readonly<Record<string, readonly unknown[]>>

export type Combination<F extends Factors> = { readonly [Name in keyof F]: F[Name][number] }

/**
 * Combinations in which every two values of different factors meet at least once: greedily, of some random rows the
 * one with the most new pairs.
 *
 * @param seed decides the rows: another seed, other company for the same pairs
 */
export function pairwise<F extends Factors>(factors: F, seed: number): Combination<F>[] {
  const random = createRandom(seed)
  const names = Object.keys(factors)
  const open = new Set<string>()
  const pairsOf = (row: readonly number[]) =>
    names.flatMap((_, a) => names.slice(a + 1).map((_, i) => `${a}:${row[a]} ${a + 1 + i}:${row[a + 1 + i]}`))
  for (const [a, name] of names.entries()) {
    for (const [i, other] of names.slice(a + 1).entries()) {
      for (let x = 0; x < factors[name]!.length; x++) {
        for (let y = 0; y < factors[other]!.length; y++) open.add(`${a}:${x} ${a + 1 + i}:${y}`)
      }
    }
  }
  const rows: number[][] = []
  while (open.size > 0) {
    const [pair] = open
    const fixed = new Map(pair!.split(' ').map((part) => part.split(':').map(Number) as [number, number]))
    const candidates = Array.from({ length: 12 }, () =>
      names.map((name, at) => fixed.get(at) ?? Math.floor(random() * factors[name]!.length)),
    )
    const gains = candidates.map((row) => pairsOf(row).filter((pair) => open.has(pair)).length)
    const best = candidates[gains.indexOf(Math.max(...gains))]!
    for (const pair of pairsOf(best)) open.delete(pair)
    rows.push(best)
  }
  return rows.map((row) => pick(factors, row))
}

/** So many combinations drawn at random. */
export function drawn<F extends Factors>(factors: F, count: number, seed: number): Combination<F>[] {
  const random = createRandom(seed)
  return Array.from({ length: count }, () =>
    pick(
      factors,
      Object.values(factors).map((values) => Math.floor(random() * values.length)),
    ),
  )
}

function pick<F extends Factors>(factors: F, row: readonly number[]): Combination<F> {
  const entries = Object.entries(factors).map(([name, values], at) => [name, values[row[at]!]])
  return Object.fromEntries(entries) as Combination<F>
}
