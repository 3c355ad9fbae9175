import { createDraftTree } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { drawDot, drawSvg, drawText } from './draw.js'

const tree = createDraftTree([5, 1, 2, 3, 4], [-1, 0, 0, 1, 1], [0, -0.5, -1, -0.75, -2])
const accepted = Uint32Array.of(0, 1, 4)
const nasty = '"<b>&\'\\\n\u0000\u007f\ud800\uffff</b>]]>'

describe('drawText', () => {
  it('draws one line per node', () => {
    expect(drawText(tree, { accepted }).split('\n')).toEqual([
      '5  ✓',
      '├─ 1  -0.50  ✓',
      '│  ├─ 3  -0.75',
      '│  └─ 4  -2.00  ✓',
      '└─ 2  -1.00',
    ])
  })

  it('shows token texts as literals, cut', () => {
    const text = drawText(tree, { tokenText: (token, node) => (node === 0 ? nasty : `${token}`.repeat(99)) })
    expect(text.split('\n')).toHaveLength(5)
    expect(text).toContain('"\\"<b>&\'\\\\\\n\\u0000\\u007f\\ud800\\uffff</b>]]>"')
    expect(text).toContain(`"${'1'.repeat(40)}"`)
  })

  it('draws a chain of any depth', () => {
    const chain = Array.from({ length: 5000 }, (_, node) => node)
    const long = createDraftTree(
      chain,
      chain.map((node) => node - 1),
    )
    expect(drawText(long).split('\n')).toHaveLength(5000)
    expect(drawSvg(long).match(/<rect/g)).toHaveLength(5001 - 1)
  })
})

describe('drawDot', () => {
  it('marks accepted nodes and escapes labels', () => {
    const dot = drawDot(tree, { accepted, tokenText: (token) => (token === 5 ? nasty : String(token)) })
    expect(dot.startsWith('digraph draft {')).toBe(true)
    expect(dot.match(/ -> /g)).toHaveLength(4)
    expect(dot.match(/style=bold/g)).toHaveLength(3)
    expect(dot.match(/penwidth=2/g)).toHaveLength(2)
    expect(dot).toContain('n1 -> n4 [color')
    for (const line of dot.split('\n').filter((text) => text.includes('label='))) {
      // One string, whose quotes inside are all escaped.
      expect(line).toMatch(/^ {2}n\d+ \[label="(?:[^"\\]|\\.)*"(?:, color="#1a7f37", style=bold)?\];$/)
    }
  })
})

describe('drawSvg', () => {
  it('marks accepted nodes and escapes labels', () => {
    const svg = drawSvg(tree, { accepted, tokenText: (token) => (token === 5 ? nasty : String(token)) })
    expect(svg.match(/<g class="accepted">/g)).toHaveLength(3)
    expect(svg.match(/<path class="accepted"/g)).toHaveLength(2)
    expect(svg.match(/<path /g)).toHaveLength(4)
    expect(svg.match(/<rect /g)).toHaveLength(5)
    expect(svg).not.toContain('<b>')
    expect(svg).toContain('&#60;b&#62;&#38;')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
    expect(svg).not.toMatch(/[\u0000-\u0008\u007f-\u009f\ufffe\uffff]|\p{Surrogate}/u)
  })

  it('gives every leaf a row of its own', () => {
    const boxes = [...drawSvg(tree).matchAll(/<rect x="([\d.]+)" y="([\d.]+)"/g)].map(([, x, y]) => `${x} ${y}`)
    expect(new Set(boxes).size).toBe(5)
  })
})

it.each([drawText, drawDot, drawSvg])('%o refuses unknown options', (draw) => {
  expect(() => draw(tree, { color: 'red' } as object)).toThrow('no option "color"')
})
