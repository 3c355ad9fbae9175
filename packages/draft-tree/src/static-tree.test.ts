import { InvalidArgumentError } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { draft, evenRows, faultsOf } from '../test/support.js'
import { TreeShapeError } from './errors.js'
import { chain, type StaticTreeOptions, staticTree } from './static-tree.js'

describe('staticTree', () => {
  it('draws the same tree from paths and from parents and ranks', () => {
    const byPaths = staticTree({ paths: [[1], [0, 1], [0], [0, 0], [0, 0, 0]] })
    const byParents = staticTree({ parents: [-1, 0, 0, 1, 1, 3], ranks: [0, 0, 1, 0, 1, 0] })
    const rows = evenRows([0.6, 0.3])
    const { tree, frontiers } = draft(byPaths, rows)
    expect(byPaths.width).toBe(2)
    expect([...tree.parents]).toEqual([-1, 0, 0, 1, 1, 3])
    expect([...tree.tokens]).toEqual([7, 1000, 1001, 2000, 2001, 3000])
    // Only nodes that have children are run: [0] and [0, 0].
    expect(frontiers.map(({ parents }) => [...parents])).toEqual([[0], [1], []])
    expect(draft(byParents, rows).tree).toEqual(tree)
    expect(faultsOf(tree)).toEqual([])
  })

  it('keeps the order of parents and ranks', () => {
    const { tree } = draft(staticTree({ parents: [-1, 0, 1, 0], ranks: [0, 1, 0, 0] }), evenRows([0.6, 0.3]))
    expect([...tree.parents]).toEqual([-1, 0, 1, 0])
    expect([...tree.tokens]).toEqual([7, 1001, 2000, 1000])
  })

  it('leaves out nodes whose candidate does not come, with their children', () => {
    const policy = staticTree({ paths: [[0], [1], [1, 0]] })
    const { tree, frontiers } = draft(policy, () => ({
      rows: 1,
      width: 2,
      tokens: Uint32Array.of(1, 2),
      logProbs: Float32Array.of(-1, Number.NaN),
    }))
    expect([...tree.tokens]).toEqual([7, 1])
    expect(frontiers).toHaveLength(1)
  })

  it('stops at the depth that is left', () => {
    const { tree } = draft(chain({ depth: 5 }), evenRows([0.5]), { root: 7, maxDepth: 2 })
    expect([...tree.tokens]).toEqual([7, 1000, 2000])
  })

  it.each<[string, StaticTreeOptions]>([
    ['an empty list', { paths: [] }],
    ['the root as a path', { paths: [[]] }],
    ['a missing prefix', { paths: [[0], [1, 0]] }],
    ['a path twice', { paths: [[0], [0]] }],
    ['a negative rank', { paths: [[-1]] }],
    ['a broken rank', { paths: [[0.5]] }],
    ['a NaN rank', { paths: [[Number.NaN]] }],
    ['a huge rank', { paths: [[1e9]] }],
    ['another length', { parents: [-1, 0], ranks: [0] }],
    ['no root', { parents: [0, 0], ranks: [0, 0] }],
    ['a cycle', { parents: [-1, 2, 1], ranks: [0, 0, 0] }],
    ['a broken parent', { parents: [-1, 0.5], ranks: [0, 0] }],
    ['a root alone', { parents: [-1], ranks: [0] }],
    ['twins', { parents: [-1, 0, 0], ranks: [0, 1, 1] }],
    ['no bottom', { parents: Array.from({ length: 131 }, (_, i) => i - 1), ranks: new Array(131).fill(0) }],
    ['too many nodes', { parents: { length: 1e9 }, ranks: { length: 1e9 } }],
  ])('refuses a shape with %s', (_, options) => {
    expect(() => staticTree(options)).toThrow(TreeShapeError)
  })

  it.each([{}, { paths: [[0]], parents: [-1, 0] }, { parents: [-1, 0] }, { path: [[0]] }])('refuses %o', (options) => {
    expect(() => staticTree(options as unknown as StaticTreeOptions)).toThrow(InvalidArgumentError)
  })
})

describe('chain', () => {
  it('is five deep by default and one wide', () => {
    const policy = chain()
    expect(policy.width).toBe(1)
    expect([...draft(policy, evenRows([0.5])).tree.parents]).toEqual([-1, 0, 1, 2, 3, 4])
  })

  it.each([{ depth: 0 }, { depth: 129 }, { depth: 1.5 }, { deep: 2 }])('refuses %o', (options) => {
    expect(() => chain(options)).toThrow(InvalidArgumentError)
  })
})
