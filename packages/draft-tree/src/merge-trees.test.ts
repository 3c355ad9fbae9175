import { createDraftTree, type DraftTree } from '@hass-engine/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { draft, evenRows, faultsOf, linearCosts } from '../test/support.js'
import { costAware } from './cost-aware.js'
import { dynamicTree } from './dynamic-tree.js'
import { TreeMismatchError } from './errors.js'
import { mergePolicies } from './merge-policies.js'
import { mergeTrees, projectVerdict, pruneTree } from './merge-trees.js'
import { ngram } from './ngram.js'

/** Random trees over few tokens, so that paths meet. */
const trees = fc
  .array(fc.tuple(fc.nat(30), fc.nat(2), fc.integer({ min: 1, max: 8 })), { maxLength: 12 })
  .map((nodes): DraftTree => {
    const [tokens, parents, logProbs] = [[9], [-1], [0]]
    const seen = new Set<string>()
    for (const [at, token, steps] of nodes) {
      const parent = at % tokens.length
      if (seen.has(`${parent} ${token}`)) continue
      seen.add(`${parent} ${token}`)
      tokens.push(token)
      parents.push(parent)
      logProbs.push(logProbs[parent]! - steps / 4)
    }
    return createDraftTree(tokens, parents, logProbs)
  })

function paths(tree: DraftTree): Map<string, number> {
  const names: string[] = []
  for (const [node, token] of tree.tokens.entries())
    names.push(node === 0 ? '' : `${names[tree.parents[node]!]}/${token}`)
  return new Map(names.map((name, node) => [name, tree.logProbs[node]!]))
}

describe('mergeTrees', () => {
  it('is the union of paths, each with the larger log-probability', () => {
    fc.assert(
      fc.property(trees, trees, (first, second) => {
        const united = mergeTrees(first, second)
        expect(faultsOf(united)).toEqual([])
        const [a, b, both] = [paths(first), paths(second), paths(united)]
        expect(new Set(both.keys())).toEqual(new Set([...a.keys(), ...b.keys()]))
        for (const [path, logProb] of both) {
          expect(logProb).toBe(Math.max(a.get(path) ?? -Infinity, b.get(path) ?? -Infinity))
        }
        expect([...united.tokens.subarray(0, first.tokens.length)]).toEqual([...first.tokens])
      }),
    )
  })

  it('refuses trees on different roots', () => {
    expect(() => mergeTrees(createDraftTree([1], [-1]), createDraftTree([2], [-1]))).toThrow(TreeMismatchError)
  })
})

describe('pruneTree', () => {
  it('keeps the most probable nodes, closed under parents', () => {
    fc.assert(
      fc.property(trees, fc.nat(14), (tree, maxNodes) => {
        const pruned = pruneTree(tree, maxNodes)
        expect(faultsOf(pruned)).toEqual([])
        expect(pruned.tokens.length).toBe(Math.min(tree.tokens.length, maxNodes + 1))
        const best = [...tree.logProbs].sort((a, b) => b - a).slice(0, maxNodes + 1)
        expect([...pruned.logProbs].sort((a, b) => b - a)).toEqual(best)
      }),
    )
  })

  it('stays closed under parents whatever the numbers are', () => {
    const tree = createDraftTree([9, 1, 2, 3], [-1, 0, 1, 0], [0, -5, -1, Number.NaN])
    expect([...pruneTree(tree, 1).tokens]).toEqual([9, 1])
    expect([...pruneTree(tree, 2).parents]).toEqual([-1, 0, 1])
    expect(() => pruneTree(tree, -1)).toThrow('maxNodes')
  })
})

describe('projectVerdict', () => {
  const tree = createDraftTree([9, 1, 2, 3], [-1, 0, 1, 2])
  const verdict = { path: Uint32Array.of(0, 1, 2), bonusToken: 5 }

  it('follows the accepted tokens as far as the other tree goes', () => {
    const other = createDraftTree([9, 4, 1], [-1, 0, 0])
    expect(projectVerdict(tree, verdict, other)).toEqual({ path: Uint32Array.of(0, 2), bonusToken: 2 })
    expect(projectVerdict(tree, verdict, tree)).toEqual(verdict)
  })

  it('leaves the bonus token a bonus though the other tree holds it: what follows it is not known', () => {
    const other = createDraftTree([9, 1, 2, 5], [-1, 0, 1, 2])
    expect(projectVerdict(tree, verdict, other)).toEqual(verdict)
  })
})

describe('mergePolicies', () => {
  const history = [1, 2, 3, 4, 1, 2]

  it('unites a head’s tree with the text’s', () => {
    const policy = mergePolicies([dynamicTree({ topK: 2, depth: 1 }), ngram({ maxMatch: 2, depth: 2 })])
    expect([policy.name, policy.width]).toEqual(['dynamic+ngram', 2])
    const { tree } = draft(policy, evenRows([0.5, 0.25]), { root: 2, history })
    expect(faultsOf(tree)).toEqual([])
    const names = paths(tree)
    expect(names.has('/1000')).toBe(true)
    expect(names.has('/3/4')).toBe(true)
    expect(tree.tokens.length).toBe(1 + 2 + 4 + 2)
    expect(draft(mergePolicies([policy], { maxNodes: 3 }), evenRows([0.5, 0.25])).tree.tokens).toHaveLength(4)
  })

  it('needs no draft model where none of its policies does', () => {
    const policy = mergePolicies([ngram(), ngram({ minMatch: 1 })])
    expect(policy.width).toBe(0)
    const builder = policy.start({ root: 2, history })
    expect(builder.expand(evenRows([])(0, 1, 0)).tokens).toHaveLength(0)
    expect(builder.finish().tokens[1]).toBe(3)
  })

  it('shows each policy its own tree, and an unknown tree to all', () => {
    const seen: [DraftTree, readonly number[], number][] = []
    const spy = {
      ...ngram({ maxMatch: 2 }),
      observe: (own: DraftTree, { path, bonusToken }: { path: Uint32Array; bonusToken: number }) =>
        void seen.push([own, [...path], bonusToken]),
    }
    const policy = mergePolicies([dynamicTree({ topK: 1, depth: 0 }), spy])
    const { tree } = draft(policy, evenRows([0.9]), { root: 2, history })
    expect([...tree.tokens.subarray(0, 3)]).toEqual([2, 1000, 3])
    policy.observe?.(tree, { path: Uint32Array.of(0, 2), bonusToken: 4 })
    expect(seen[0]![0].tokens[1]).toBe(3)
    expect(seen[0]!.slice(1)).toEqual([[0, 1], 4])
    const unknown = createDraftTree([2], [-1])
    policy.observe?.(unknown, { path: Uint32Array.of(0), bonusToken: 4 })
    expect(seen[1]).toEqual([unknown, [0], 4])
  })

  it('takes a node while it brings more than its time, whichever policy it is of', () => {
    const policy = mergePolicies([ngram({ maxMatch: 2 })])
    const nodes = (costs?: ReturnType<typeof linearCosts>) =>
      draft(policy, evenRows([]), { root: 2, history, ...(costs && { costs }) }).tree.tokens.length - 1
    // A match of two tokens is right in half of all cases: ½, ¼, … of a token, each for so many passes.
    expect(nodes()).toBe(4)
    expect(nodes(linearCosts(0.01))).toBe(4)
    expect(nodes(linearCosts(0.2))).toBe(2)
    expect(nodes(linearCosts(0.3))).toBe(1)
    expect(nodes(linearCosts(0.6))).toBe(0)
  })

  it('weighs nodes by what their policies have learnt', () => {
    const head = costAware({ topK: 1, depth: 0 })
    const policy = mergePolicies([head, ngram({ maxMatch: 2, depth: 1 })])
    const cycle = { root: 2, history, costs: linearCosts(0.3) }
    const tokens = () => [...draft(policy, evenRows([0.9]), cycle).tree.tokens].slice(1)
    expect(tokens()).toEqual([1000, 3])
    for (let i = 0; i < 100; i++) {
      const { tree } = draft(policy, evenRows([0.9]), cycle)
      const node = tree.tokens.indexOf(3)
      policy.observe?.(tree, { path: Uint32Array.of(0, ...(node > 0 ? [node] : [])), bonusToken: node > 0 ? 9 : 3 })
    }
    expect(tokens()).toEqual([3])
    const { tree } = draft(policy, evenRows([0.9]), cycle)
    expect(policy.acceptance!(tree)[1]).toBeGreaterThan(0.9)
    expect(policy.acceptance!(createDraftTree([2, 5], [-1, 0], [0, Math.log(0.25)]))[1]).toBeCloseTo(0.25, 6)
  })

  it('finds its way back to what it left out: the emitted token judges that too', () => {
    const policy = mergePolicies([ngram({ maxMatch: 2, depth: 1 })])
    const cycle = { root: 2, history, costs: linearCosts(0.6) }
    const step = () => draft(policy, evenRows([]), cycle).tree
    expect(step().tokens).toHaveLength(1)
    for (let i = 0; i < 20; i++) policy.observe?.(step(), { path: Uint32Array.of(0), bonusToken: 3 })
    expect([...step().tokens]).toEqual([2, 3])
  })

  describe('with a head beside n-grams that are nearly always right', () => {
    const costs = linearCosts(0.05, 1, 0.2)
    const repeating = Array.from({ length: 40 }, (_, i) => i % 5)
    const fresh = Array.from({ length: 40 }, (_, i) => 100 + i)
    const cycle = (history: readonly number[]) => ({ root: history.at(-1)!, history, costs })
    /** Candidates of which the first is what the text goes on with. */
    const rows: Parameters<typeof draft>[1] = (level, count, width) => ({
      rows: count,
      width,
      tokens: Uint32Array.from({ length: count * width }, (_, i) => (i % width === 0 ? level % 5 : 1000 + i)),
      logProbs: Float32Array.from({ length: count * width }, (_, i) => Math.log(i % width === 0 ? 0.6 : 0.1)),
    })
    const learnt = () => {
      const head = costAware({ topK: 3, depth: 6 })
      const policy = mergePolicies([head, ngram()])
      for (let i = 0; i < 100; i++) {
        const { tree } = draft(policy, rows, cycle(repeating))
        // All of the text's own path is right.
        const path = [0]
        for (let step = 0; ; step++) {
          const next = tree.tokens.findIndex((token, node) => token === step % 5 && tree.parents[node] === path.at(-1))
          if (next === -1) break
          path.push(next)
        }
        policy.observe?.(tree, { path: Uint32Array.from(path), bonusToken: (path.length - 1) % 5 })
      }
      return policy
    }

    it('drafts where the text does not repeat itself, and not where it does', () => {
      const policy = learnt()
      expect(policy.start(cycle(fresh)).width).toBeUndefined()
      expect(draft(policy, rows, cycle(fresh)).frontiers.length).toBeGreaterThan(2)
      expect(policy.start(cycle(repeating)).width).toBe(0)
      const builder = policy.start(cycle(repeating))
      const tree = builder.finish()
      expect(tree.tokens.length).toBeGreaterThan(8)
      // Candidates that come all the same lead no deeper: the text has those nodes.
      expect(draft(policy, rows, cycle(repeating)).frontiers.map(({ tokens }) => tokens.length)).toEqual([0])
    })

    it('goes deeper behind a node that the text holds to be likely', () => {
      const unlikely: typeof rows = (level, count, width) => ({
        ...rows(level, count, width),
        logProbs: new Float32Array(count * width).fill(Math.log(0.02)),
      })
      const alone = costAware({ topK: 3, depth: 1 })
      expect(draft(alone, unlikely, cycle(repeating)).frontiers[0]!.tokens).toHaveLength(0)
      const tree = createDraftTree([4, 0], [-1, 0], [0, Math.log(0.9)])
      const free = { tree, acceptance: [1, 0.9] }
      const strong: typeof rows = (level, count, width) => (level === 0 ? unlikely : rows)(level, count, width)
      const { frontiers } = draft(costAware({ topK: 3, depth: 1 }), strong, {
        ...cycle(repeating),
        costs: linearCosts(0.01, 1, 0.01),
        free,
      })
      expect([...frontiers[0]!.tokens]).toContain(0)
    })
  })

  it('is never worse than plain decoding by its own model', () => {
    const prob = fc.double({ min: 0, max: 1, noNaN: true })
    fc.assert(
      fc.property(prob, prob, fc.double({ min: 0, max: 1.5, noNaN: true }), (first, second, perRow) => {
        const policy = mergePolicies([dynamicTree({ topK: 2, depth: 1 }), ngram({ maxMatch: 2 })])
        const costs = linearCosts(perRow)
        const { tree } = draft(policy, evenRows([first, second]), { root: 2, history, costs })
        expect(faultsOf(tree)).toEqual([])
        const tokens = Array.from(policy.acceptance!(tree)).reduce((sum, value) => sum + value, 0)
        expect(tokens / (1 + perRow * (tree.tokens.length - 1))).toBeGreaterThanOrEqual(1 - 1e-6)
      }),
    )
  })

  it('refuses none, or two that draft with a model', () => {
    expect(() => mergePolicies([])).toThrow('0 policies')
    expect(() => mergePolicies([dynamicTree(), dynamicTree()])).toThrow('2 of them')
    expect(() => mergePolicies([ngram()], { maxNodes: 0 })).toThrow('maxNodes')
  })
})
