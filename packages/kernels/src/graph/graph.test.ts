import { HassError, InvalidArgumentError } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { GraphError } from '../errors.js'
import { fuseGraph } from './fuse.js'
import { createGraph, type Graph } from './graph.js'

function createParts() {
  const g = createGraph('parts')
  const rows = g.dimension('rows', 8)
  return {
    g,
    rows,
    tokens: g.input('tokens', 'U32', [rows]),
    x: g.input('x', 'F32', [rows, 64]),
    weight: g.weight('weight', 'Q4', [48, 64]),
    norm: g.weight('norm', 'F32', [64]),
    cache: g.state('cache', 'F16', [16, 64]),
  }
}

describe('graph', () => {
  it('infers shapes, fixed and free', () => {
    const { g, x, weight, tokens, norm } = createParts()
    expect(g.linear(x, weight).shape).toEqual([-1, 48])
    expect(g.rmsNorm(x, norm, 1e-5).shape).toEqual([-1, 64])
    expect(g.split(x, [16, 40, 8]).map(({ shape }) => shape[1])).toEqual([16, 40, 8])
    expect(g.concat(x, x).shape).toEqual([-1, 128])
    const { ids, values } = g.topK(x, 3)
    expect([ids.dtype, ids.shape, values.dtype, values.shape]).toEqual(['U32', [-1, 3], 'F32', [-1, 3]])
    const { dtype, shape } = g.gatherRows(x, tokens)
    expect([dtype, shape]).toEqual(['F32', [-1, 64]])
  })

  it('keeps the dtype of gathered rows', () => {
    const { g, cache, tokens } = createParts()
    expect(g.gatherRows(cache, tokens).dtype).toBe('F16')
  })

  type Parts = ReturnType<typeof createParts>
  const refusals: [string, RegExp, (parts: Parts) => unknown][] = [
    [
      'columns',
      /weight "weight" is \[48, 64\] Q4, expected \[48, 32\]/,
      ({ g, x, weight }) => g.linear(g.slice(x, 0, 32), weight),
    ],
    [
      'dtypes',
      /x "tokens" is \[rows\] U32, expected \[R, E\] F32/,
      ({ g, tokens, weight }) => g.linear(tokens, weight),
    ],
    [
      'rows',
      /b "other" is \[others, 64\] F32, expected \[rows, 64\] F32/,
      ({ g, x }) => g.add(x, g.input('other', 'F32', [g.dimension('others', 8), 64])),
    ],
    ['group sizes', /x "x" is \[rows, 64\] F32/, ({ g, x }) => g.rmsNorm(x, g.weight('seven', 'F32', [7]), 1e-5)],
    ['states', /cache "x" is \[rows, 64\] F32, expected .* state/, ({ g, x, tokens }) => g.cacheWrite(x, x, tokens)],
    ['splits', /"x" has 64 columns, expected 60 = 20 \+ 40/, ({ g, x }) => g.split(x, [20, 40])],
    ['slices', /columns 60 to 68 pass the 64/, ({ g, x }) => g.slice(x, 60, 8)],
    ['top-k', /K is 65, expected 1 to the 64 columns/, ({ g, x }) => g.topK(x, 65)],
    [
      'odd heads',
      /head size is 5, expected an even/,
      ({ g, x, tokens }) => g.rope(g.slice(x, 0, 10), tokens, g.weight('table', 'F32', [9, 5]), { headSize: 5 }),
    ],
    ['names', /two tensors "x"/, ({ g, rows }) => g.input('x', 'F32', [rows])],
    ['packed shapes', /"bad" is \[4,33\] Q8, expected a weight/, ({ g }) => g.weight('bad', 'Q8', [4, 33])],
    ['other graphs', /belongs to another graph/, ({ x }) => createGraph('other').argMax(x)],
    [
      'foreign dimensions',
      /dimension "rows" of another graph/,
      ({ rows }) => createGraph('other').input('x', 'F32', [rows]),
    ],
    ['outputs', /cannot be the output/, ({ g, x }) => g.output('x', x)],
    [
      '2^31 elements',
      /up to 2147483648 elements, expected at most 2\^31 - 1/,
      ({ g }) => g.weight('huge', 'F32', [2 ** 16, 2 ** 15]),
    ],
    [
      '2^31 elements of an operation',
      /elements, expected at most/,
      ({ g }) =>
        g.linear(g.input('long', 'F32', [g.dimension('long', 2 ** 16), 32]), g.weight('wide', 'Q4', [2 ** 16, 32])),
    ],
  ]
  it.each(refusals)('refuses wrong %s, naming the tensor', (_, message, build) => {
    const parts = createParts()
    expect(() => build(parts)).toThrow(message)
    expect(() => build(createParts())).toThrow(GraphError)
  })

  it('refuses heads that do not share kv heads', () => {
    const { g, x, rows } = createParts()
    const kv = g.state('kv', 'F32', [4, 32])
    const context = g.treeContext(rows, { maxSequences: 1, maxContext: 4 })
    expect(() => g.treeAttention(x, kv, kv, context, { heads: 3, kvHeads: 2 })).toThrow(HassError)
    expect(() => g.treeAttention(x, kv, kv, context, { heads: 4, kvHeads: 3 })).toThrow(GraphError)
  })

  it('refuses numbers and options that are none', () => {
    const { g, x, norm } = createParts()
    expect(() => g.rmsNorm(x, norm, Number.NaN)).toThrow(InvalidArgumentError)
    expect(() => g.dimension('more', -1)).toThrow(InvalidArgumentError)
    expect(() => g.linear(x, norm, { scale: 2 } as object)).toThrow(/no option "scale"/)
    expect(() => createGraph('g', { activationBlock: 8 } as object)).toThrow(InvalidArgumentError)
  })
})

describe('fusing', () => {
  const names = (graph: Graph) => fuseGraph(graph).map(({ operation }) => operation.name)

  it('takes chains that nobody looks into', () => {
    const { g, x, norm } = createParts()
    const hidden = g.add(x, x)
    const [gate, up] = g.split(g.linear(g.rmsNorm(hidden, norm, 1e-5), g.weight('gateUp', 'Q4', [64, 64])), [32, 32])
    g.output('y', g.siluMul(gate, up))
    g.output('hidden', hidden)
    expect(names(g)).toEqual(['addRmsNorm', 'linearSiluMul'])
  })

  it('leaves chains whose middle is an output, read twice, or crossed', () => {
    const { g, x } = createParts()
    const both = g.linear(x, g.weight('gateUp', 'Q4', [64, 64]))
    const [gate, up] = g.split(both, [32, 32])
    g.output('y', g.siluMul(gate, up))
    g.output('both', both)
    expect(names(g)).toEqual(['linear', 'slice', 'slice', 'siluMul'])

    const other = createParts()
    const swapped = other.g.split(other.g.linear(other.x, other.g.weight('gateUp', 'Q4', [64, 64])), [32, 32])
    other.g.output('y', other.g.siluMul(swapped[1], swapped[0]))
    expect(names(other.g)).toContain('siluMul')
  })

  it('does not move a cache write past what reads the cache', () => {
    const build = (isCrossed: boolean) => {
      const { g, x, rows, tokens } = createParts()
      const table = g.weight('table', 'F32', [9, 16])
      const [keys, values] = [g.state('keys', 'F32', [16, 16]), g.state('values', 'F32', [16, 16])]
      const slots = g.input('slots', 'U32', [rows])
      const [q, k, v] = g.split(g.linear(x, g.weight('qkv', 'Q4', [64, 64])), [32, 16, 16])
      g.cacheWrite(values, v, slots)
      if (isCrossed) g.output('seen', g.gatherRows(values, slots))
      g.output('q', g.rope(q, tokens, table, { headSize: 16 }))
      g.cacheWrite(keys, g.rope(k, tokens, table, { headSize: 16 }), slots)
      return names(g)
    }
    expect(build(false)).toEqual(['qkvRopeCache'])
    expect(build(true)).not.toContain('qkvRopeCache')
  })
})
