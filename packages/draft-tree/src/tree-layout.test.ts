import { createDraftTree } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { ancestorLists, attentionMask, childLists, positionIds, retrieveIndices } from './tree-layout.js'

const tree = createDraftTree([9, 1, 2, 3, 4], [-1, 0, 0, 2, 1])

describe('layouts of a tree', () => {
  it('lists children and ancestors', () => {
    expect(childLists(tree)).toEqual([[1, 2], [4], [3], [], []])
    expect(ancestorLists(tree).map((list) => [...list])).toEqual([[0], [0, 1], [0, 2], [0, 2, 3], [0, 1, 4]])
  })

  it('masks all but ancestors', () => {
    expect([...attentionMask(tree)].join('')).toBe('1000011000101001011011001')
  })

  it('counts positions from the root', () => {
    expect([...positionIds(tree, 40)]).toEqual([40, 41, 41, 42, 42])
    expect(() => positionIds(tree, -1)).toThrow('rootPosition')
  })

  it('lists paths by leaf and by path', () => {
    expect([...retrieveIndices(tree).indices]).toEqual([0, 2, 3, 0, 1, 4])
    expect(retrieveIndices(tree, 'path')).toEqual({ rows: 2, width: 3, indices: Int32Array.of(0, 1, 4, 0, 2, 3) })
  })

  it('lives with the root alone', () => {
    const root = createDraftTree([9], [-1])
    expect(retrieveIndices(root)).toEqual({ rows: 1, width: 1, indices: Int32Array.of(0) })
    expect([...attentionMask(root)]).toEqual([1])
  })
})
