import { describe, expect, it } from 'vitest'
import {
  checkNumber,
  checkOptionKeys,
  createDraftTree,
  DisposedError,
  elementCount,
  HassError,
  InvalidArgumentError,
  pathToNode,
} from './index.js'

describe('createDraftTree', () => {
  it('derives depths and copies what it is given', () => {
    const tokens = [5, 6, 7, 8]
    const tree = createDraftTree(tokens, [-1, 0, 0, 2])
    tokens[0] = 99
    expect([...tree.tokens]).toEqual([5, 6, 7, 8])
    expect([...tree.depths]).toEqual([0, 1, 1, 2])
    expect([...tree.logProbs]).toEqual([0, 0, 0, 0])
    expect([...pathToNode(tree, 3)]).toEqual([0, 2, 3])
    expect([...pathToNode(tree, 0)]).toEqual([0])
  })

  it.each([
    ['no root', [], []],
    ['lengths that differ', [1, 2], [-1]],
    ['a root with a parent', [1], [0]],
    ['a second root', [1, 2], [-1, -1]],
    ['a parent behind its child', [1, 2, 3], [-1, 2, 0]],
    ['a node that is its own parent', [1, 2], [-1, 1]],
    ['a parent that is no integer', [1, 2], [-1, 0.5]],
  ])('refuses %s', (_, tokens, parents) => {
    expect(() => createDraftTree(tokens, parents)).toThrow(InvalidArgumentError)
  })
})

describe('elementCount', () => {
  it('multiplies, with 1 for rank 0 and 0 for an empty dimension', () => {
    expect(elementCount([])).toBe(1)
    expect(elementCount([3, 4])).toBe(12)
    expect(elementCount([3, 0, 5])).toBe(0)
  })

  it.each([[[2 ** 32, 2 ** 32]], [[2 ** 32, 2 ** 32, 0]], [[-1]], [[1.5]], [[Number.NaN]], [[2 ** 53]]])(
    'refuses %j',
    (shape) => {
      expect(() => elementCount(shape)).toThrow(InvalidArgumentError)
    },
  )
})

describe('errors', () => {
  it('carry code, details and cause, and are known across copies of the package', () => {
    const cause = new Error('below')
    const error = new HassError('HASS_ERR_TEST', 'It broke.', { cause, details: { found: 3 } })
    expect(error).toMatchObject({ code: 'HASS_ERR_TEST', message: 'It broke.', cause, details: { found: 3 } })
    const stranger = { [Symbol.for('hass-engine.error')]: true }
    expect([error, new DisposedError('The model'), stranger].every(HassError.isInstance)).toBe(true)
    expect([new Error('x'), null, undefined, 'x'].some(HassError.isInstance)).toBe(false)
    expect(new DisposedError('The model').message).toBe(
      'The model was used after it had been disposed; create a new one.',
    )
  })
})

describe('options', () => {
  it('refuses keys that are not known, and says which are', () => {
    expect(() => checkOptionKeys({ depht: 3 }, ['depth', 'topK'], 'chain')).toThrow(
      'chain has no option "depht"; it knows depth, topK.',
    )
    expect(() => checkOptionKeys({ a: 1 }, [], 'plain')).toThrow('it knows none')
    checkOptionKeys({ depth: 3 }, ['depth', 'topK'], 'chain')
  })

  it('checks numbers against their bounds and says what was expected', () => {
    expect(checkNumber(3, 'depth', { min: 1, max: 3, isInteger: true })).toBe(3)
    expect(checkNumber(0.5, 'topP', { above: 0, below: 1 })).toBe(0.5)
    expect(() => checkNumber(0, 'topP', { above: 0 })).toThrow('topP is 0, expected a number, above 0.')
    expect(() => checkNumber(1, 'topP', { below: 1 })).toThrow('below 1')
    expect(() => checkNumber(1.5, 'depth', { isInteger: true })).toThrow('an integer')
    expect(() => checkNumber(Number.NaN, 'temperature')).toThrow('NaN')
    expect(() => checkNumber('3', 'depth')).toThrow('depth is "3"')
    expect(() => checkNumber(4, 'depth', { max: 3 })).toThrow('at most 3')
    expect(() => checkNumber(0, 'depth', { min: 1 })).toThrow('at least 1')
    expect(() => checkNumber(1n, 'depth')).toThrow(InvalidArgumentError)
  })
})
