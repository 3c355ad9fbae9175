import { createDraftTree, type DraftTree } from '@hass-engine/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { draft, evenRows, faultsOf, linearCosts, runningSums } from '../test/support.js'
import { costAware } from './cost-aware.js'
import { CostCurveError } from './errors.js'

const sum = (values: ArrayLike<number>) => Array.from(values).reduce((total, value) => total + value, 0)
const free = { verify: { rows: [1], ms: [10] }, draft: { rows: [1], ms: [0] } }

describe('costAware', () => {
  it('takes all nodes it may where rows are free, and none where each costs a token', () => {
    const rows = evenRows([0.5, 0.3])
    const options = { topK: 2, depth: 2, maxNodes: 20 }
    expect(draft(costAware(options), rows, { root: 7, costs: free }).tree.tokens).toHaveLength(1 + 2 + 4 + 4)
    const dear = draft(costAware(options), rows, { root: 7, costs: linearCosts(1) })
    expect(dear.tree.tokens).toHaveLength(1)
    expect(dear.frontiers).toHaveLength(1)
  })

  it('takes a node while it brings more than its time: Δtokens > rate · Δms', () => {
    const probs = [0.4, 0.3, 0.2, 0.05]
    const policy = costAware({ topK: 4, depth: 0 })
    for (const [rate, nodes] of [
      [0, 4],
      [0.9, 4],
      [1.1, 3],
      [3.5, 3],
      [4.5, 2],
      [7, 1],
      [9, 0],
    ] as const) {
      // A node costs 0.05 ms; plain decoding brings 0.1 tokens per ms, the least that time is worth.
      const { tree } = draft(policy, evenRows(probs), { root: 7, rate, costs: linearCosts(0.05, 10) })
      expect([rate, tree.tokens.length - 1]).toEqual([rate, nodes])
    }
  })

  it('drafts a further level only if what it can be expected to bring pays for the pass', () => {
    const deep = (draftMs: number) =>
      Math.max(...draft(costAware(), evenRows([0.6]), { root: 7, costs: linearCosts(0.01, 10, draftMs) }).tree.depths)
    expect(deep(0.1)).toBeGreaterThan(deep(2))
    expect(deep(2)).toBeGreaterThan(deep(20))
    expect(deep(20)).toBe(1)
  })

  it('sees a step of the curve from below: rows that pay only together are taken together', () => {
    const costs = { verify: { rows: [1, 2, 3], ms: [1, 1.6, 1.61] }, draft: { rows: [1], ms: [1] } }
    expect(draft(costAware({ depth: 0 }), evenRows([0.5]), { root: 7, costs }).tree.tokens).toHaveLength(1)
    expect(draft(costAware({ depth: 0 }), evenRows([0.5, 0.4]), { root: 7, costs }).tree.tokens).toHaveLength(3)
  })

  it('is never worse than plain decoding by its own model', () => {
    const curve = fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 12, maxLength: 12 })
    const prob = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(
        curve,
        fc.array(prob, { minLength: 3, maxLength: 3 }),
        fc.oneof(prob, fc.constantFrom(Number.NaN, -1, Infinity, 1e9)),
        (steps, probs, rate) => {
          const ms = runningSums(1, steps, 0.1)
          const costs = { verify: { rows: ms.map((_, i) => i + 1), ms }, draft: { rows: [1, 3], ms: [0.05, 0.1] } }
          const policy = costAware({ topK: 3, depth: 3, maxNodes: 12 })
          const { tree } = draft(policy, evenRows(probs), { root: 7, costs, rate })
          expect(faultsOf(tree)).toEqual([])
          const perMs = sum(policy.acceptance(tree)) / ms[tree.tokens.length - 1]!
          expect(perMs).toBeGreaterThanOrEqual(1 / ms[0]! - 1e-6)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('chooses the best closed set of its candidates', () => {
    const prob = fc.double({ min: 0.01, max: 1, noNaN: true })
    fc.assert(
      fc.property(fc.array(prob, { minLength: 2, maxLength: 2 }), fc.integer({ min: 1, max: 30 }), (probs, steps) => {
        const perRow = steps / 50
        const policy = costAware({ topK: 2, depth: 1, maxNodes: 6 })
        const costs = { ...linearCosts(perRow), draft: { rows: [1], ms: [0] } }
        const { tree, frontiers } = draft(policy, evenRows(probs), { root: 7, costs })
        const expanded = frontiers[0]!.tokens.length
        const [a, b] = probs.map((value) => Math.exp(Math.fround(Math.log(value)))) as [number, number]
        const values = [
          a,
          b,
          ...[a, b]
            .sort((x, y) => y - x)
            .slice(0, expanded)
            .flatMap((above) => [above * a, above * b]),
        ]
        // With a constant price the best set is every candidate above it: closed, as no child exceeds its parent.
        const best = sum(values.map((value) => Math.max(0, value - perRow)))
        expect(sum(policy.acceptance(tree)) - 1 - perRow * (tree.tokens.length - 1)).toBeCloseTo(best, 4)
      }),
    )
  })

  it('learns from candidates that the tree did not hold', () => {
    const policy = costAware({ topK: 2, depth: 0 })
    const cycle = { root: 7, costs: linearCosts(0.3, 1) }
    const rows = evenRows([0.6, 0.2])
    expect(draft(policy, rows, cycle).tree.tokens).toHaveLength(2)
    for (let i = 0; i < 200; i++) {
      const { tree } = draft(policy, rows, cycle)
      // The target always takes the second candidate, token 1001, which the tree at first leaves out.
      const node = tree.tokens.indexOf(1001)
      policy.observe(tree, { path: Uint32Array.of(0, ...(node > 0 ? [node] : [])), bonusToken: node > 0 ? 5 : 1001 })
    }
    expect(draft(policy, rows, cycle).tree.tokens).toContain(1001)
  })

  it('learns at every depth that the walk visited', () => {
    const policy = costAware({ topK: 1, depth: 2 })
    const cycle = { root: 7, costs: free }
    const rows = evenRows([0.5])
    const before = policy.acceptance(draft(policy, rows, cycle).tree)
    for (let i = 0; i < 100; i++) {
      const { tree } = draft(policy, rows, cycle)
      policy.observe(tree, { path: Uint32Array.of(0, 1, 2), bonusToken: 9 })
    }
    const after = policy.acceptance(draft(policy, rows, cycle).tree)
    expect(after[2]).toBeGreaterThan(before[2]!)
    expect(after[3]! / after[2]!).toBeLessThan(before[3]! / before[2]!)
  })

  it('learns from a tree that it did not make', () => {
    const policy = costAware({ costs: free })
    const tree: DraftTree = createDraftTree([7, 1, 2, 3, 4], [-1, 0, 0, 1, 2], [0, -0.7, -0.7, -1.4, -0.9])
    for (let i = 0; i < 100; i++) policy.observe(tree, { path: Uint32Array.of(0, 1), bonusToken: 8 })
    const [, first, , third] = policy.acceptance(tree)
    expect(third! / first!).toBeLessThan(0.2)
    const uncalibrated = costAware({ costs: free }).acceptance(tree)
    expect(uncalibrated[3]).toBeCloseTo(Math.exp(-1.4), 5)
    expect(uncalibrated[0]).toBe(1)
  })

  it('expects of the next level what levels of that depth brought', () => {
    // The first level is sure, the second never brings anything: drafting it must end.
    const policy = costAware({ topK: 1, depth: 3 })
    const rows = (level: number) => ({
      rows: 1,
      width: 1,
      tokens: Uint32Array.of(level),
      logProbs: Float32Array.of(level === 0 ? -0.01 : -6),
    })
    const cycle = { root: 7, costs: linearCosts(0.01, 10, 3) }
    expect(draft(policy, rows, cycle).frontiers.length).toBeGreaterThan(1)
    for (let i = 0; i < 20; i++) {
      const { tree } = draft(policy, rows, cycle)
      policy.observe(tree, { path: Uint32Array.of(0, 1), bonusToken: 9 })
    }
    expect(draft(policy, rows, cycle).frontiers).toHaveLength(1)
  })

  it('drafts on behind a modest level if the next was good so far', () => {
    const levels = [
      [0.9, 0.001],
      [0.5, 0.45],
    ]
    const rows = (level: number, count: number, width: number) => evenRows(levels[level] ?? [0])(level, count, width)
    const policy = costAware({ topK: 2, depth: 1 })
    const learned = { root: 7, costs: linearCosts(0.01, 10, 6) }
    expect(draft(policy, rows, learned).frontiers).toHaveLength(2)
    for (let i = 0; i < 20; i++) {
      policy.observe(draft(policy, rows, learned).tree, { path: Uint32Array.of(0), bonusToken: 9 })
    }
    const timid = () => draft(policy, evenRows([0.6, 0.001]), { root: 7, costs: linearCosts(0.01, 10, 4) })
    expect(timid().frontiers[0]!.tokens).toHaveLength(1)
  })

  it('lives with rows that nothing can come to, and with passes that never come', () => {
    // Two rows are measured as cheaper than one: the second, of probability zero, comes along.
    const costs = { verify: { rows: [1], ms: [10] }, draft: { rows: [1, 2], ms: [1, 0.1] } }
    const policy = costAware({ topK: 2, depth: 2, costs })
    const builder = policy.start({ root: 7 })
    const rows = { rows: 1, width: 2, tokens: Uint32Array.of(1, 2), logProbs: Float32Array.of(-0.1, -800) }
    expect(builder.expand(rows).tokens).toHaveLength(2)
    const second = { rows: 2, width: 1, tokens: Uint32Array.of(3, 4), logProbs: Float32Array.of(-0.1, -0.1) }
    expect(builder.expand(second).tokens.length).toBeGreaterThan(0)
    const tree = builder.finish()
    expect(faultsOf(tree)).toEqual([])
    policy.observe(tree, { path: Uint32Array.of(0, 1, 2), bonusToken: 9 })
    expect(policy.acceptance(tree)[2]).toBeGreaterThan(0.5)
  })

  it('accepts costs as an option, and machines that take no time', () => {
    const nothing = { verify: { rows: [1], ms: [0] }, draft: { rows: [1], ms: [0] } }
    const { tree } = draft(costAware({ costs: nothing, maxNodes: 5 }), evenRows([0.5]))
    expect(tree.tokens).toHaveLength(6)
  })

  it('refuses to start without cost tables, and bad tables and options', () => {
    expect(() => costAware().start({ root: 1 })).toThrow(CostCurveError)
    expect(() => costAware({ costs: { ...free, verify: { rows: [], ms: [] } } })).toThrow(CostCurveError)
    expect(() => costAware({ topK: 0 })).toThrow('topK')
    expect(() => costAware({ depth: -1 })).toThrow('depth')
    expect(() => costAware({ maxNodes: 1.5 })).toThrow('maxNodes')
    expect(() => costAware({ rate: 1 } as object)).toThrow('no option "rate"')
    expect(() => costAware({ calibration: { priorCount: -1 } })).toThrow('priorCount')
  })
})
