import { createDraftTree, type DraftTree } from '@hass-engine/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { faultsOf, runningSums } from '../test/support.js'
import { type AllocateOptions, allocate } from './allocate.js'

const trees = fc
  .array(fc.tuple(fc.nat(20), fc.integer({ min: 1, max: 12 })), { maxLength: 5 })
  .map((nodes): DraftTree => {
    const parents = [-1]
    const logProbs = [0]
    for (const [at, steps] of nodes) {
      const parent = at % parents.length
      logProbs.push(logProbs[parent]! - steps / 4)
      parents.push(parent)
    }
    return createDraftTree([...parents.keys()], parents, logProbs)
  })

const gainOf = (list: readonly DraftTree[]) =>
  list.reduce((sum, tree) => sum + tree.logProbs.slice(1).reduce((own, logProb) => own + Math.exp(logProb), 0), 0)
const rowsOf = (list: readonly DraftTree[]) => list.reduce((sum, { tokens }) => sum + tokens.length, 0)

/** The best surplus of any closed choice of nodes over all trees. */
function bruteForce(list: readonly DraftTree[], extra: number, priceOf: (nodes: number) => number): number {
  const nodes = list.flatMap((tree, t) => [...tree.tokens.keys()].slice(1).map((node) => ({ tree, t, node })))
  const at = new Map(nodes.map(({ t, node }, i) => [`${t} ${node}`, i]))
  let best = 0
  for (let set = 0; set < 1 << nodes.length; set++) {
    let [size, gain, isClosed] = [0, 0, true]
    for (const [i, { tree, t, node }] of nodes.entries()) {
      if (!((set >> i) & 1)) continue
      size++
      gain += Math.exp(tree.logProbs[node]!)
      const parent = tree.parents[node]!
      if (parent > 0 && !((set >> at.get(`${t} ${parent}`)!) & 1)) isClosed = false
    }
    if (isClosed && size <= extra) best = Math.max(best, gain - priceOf(size))
  }
  return best
}

describe('allocate', () => {
  it('never exceeds its budget and is optimal, whatever the cost of rows', () => {
    const steps = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 20, maxLength: 20 })
    fc.assert(
      fc.property(fc.array(trees, { minLength: 1, maxLength: 2 }), fc.nat(8), steps, (list, extra, msSteps) => {
        const ms = runningSums(4, msSteps, 0.5)
        const verify = { rows: ms.map((_, i) => i + 1), ms }
        const roots = list.length
        const cut = allocate({ trees: list, budget: roots + extra, verify, rate: 0.3 })
        for (const tree of cut) expect(faultsOf(tree)).toEqual([])
        expect(rowsOf(cut)).toBeLessThanOrEqual(roots + extra)
        const priceOf = (nodes: number) => 0.3 * (ms[roots + nodes - 1]! - ms[roots - 1]!)
        expect(gainOf(cut) - priceOf(rowsOf(cut) - roots)).toBeCloseTo(bruteForce(list, extra, priceOf), 5)
      }),
      { numRuns: 150 },
    )
  })

  const likely = createDraftTree([1, 2, 3], [-1, 0, 1], [0, -0.1, -0.2])
  const unlikely = createDraftTree([5, 6, 7], [-1, 0, 0], [0, -1, -3])

  it('gives rows to the sequence that gains most', () => {
    const [first, second] = allocate({ trees: [likely, unlikely], budget: 4 })
    expect([...first!.tokens]).toEqual([1, 2, 3])
    expect([...second!.tokens]).toEqual([5])
  })

  it('counts with given probabilities, and with none that is above its parent’s', () => {
    const acceptance = [
      [1, 0.1, 0.9],
      [1, Number.NaN, 5],
    ]
    const cut = allocate({ trees: [likely, unlikely], acceptance, budget: 3 })
    expect(cut.map(({ tokens }) => [...tokens])).toEqual([[1], [5, 7]])
    expect(rowsOf(allocate({ trees: [likely, unlikely], acceptance, budget: 1e9 }))).toBe(5)
  })

  it('pays at least what the roots alone would bring', () => {
    const verify = { rows: [1, 2, 3], ms: [1, 2, 2.1] }
    // A second row costs as much as a plain token: worth it only together with the cheap third.
    expect(rowsOf(allocate({ trees: [likely], budget: 2, verify }))).toBe(1)
    expect(rowsOf(allocate({ trees: [likely], budget: 3, verify }))).toBe(3)
    expect(rowsOf(allocate({ trees: [likely], budget: 3, verify: { rows: [1], ms: [0] } }))).toBe(3)
  })

  it('has nothing to share among no trees', () => {
    expect(allocate({ trees: [], budget: 5 })).toEqual([])
  })

  it.each<[AllocateOptions, string]>([
    [{ trees: [likely, unlikely], budget: 1 }, 'budget'],
    [{ trees: [likely], budget: 4, acceptance: [] }, '0 lists'],
    [{ trees: [likely], budget: 4, rate: -1 }, 'rate'],
    [{ trees: [likely], budget: 4, verify: { rows: [], ms: [] } }, 'cost curve verify'],
    [{ trees: [likely], budget: 4, rows: 3 } as AllocateOptions, 'no option "rows"'],
  ])('refuses %o', (options, message) => {
    expect(() => allocate(options)).toThrow(message)
  })
})
