import { describe, expect, it } from 'vitest'
import { markdownTable, textTable, textTableParts } from './table.js'

const table = {
  groups: ['', 'a title longer than its columns', ''],
  head: ['name', 'x', 'y'],
  rows: [['n|m', '1', '–']],
}

describe('textTable', () => {
  it('widens the last column where a title needs it, figures to the right', () => {
    expect(textTable(table)).toBe(
      [
        '      a title longer than its columns',
        'name  x                             y',
        '─────────────────────────────────────',
        'n|m   1                             –',
      ].join('\n'),
    )
  })

  it('is a head alone where there are no rows', () => {
    expect(textTable({ head: ['a', 'b'], rows: [] })).toBe('a  b\n────')
  })
})

describe('textTableParts', () => {
  it('repeats the first columns in each part, and keeps a column that is too wide', () => {
    const wide = { head: ['k', 'a', 'b', 'c'], rows: [['x', '1', '22', 'a very wide cell']] }
    expect(textTableParts(wide, 1, 9)).toBe(
      'k  a   b\n────────\nx  1  22\n\nk  c\n───────────────────\nx  a very wide cell',
    )
    expect(textTableParts(wide, 1, 99)).toBe(textTable(wide))
  })
})

describe('markdownTable', () => {
  it('has one row of heads, and no bar within a cell', () => {
    expect(markdownTable(table).split('\n')).toEqual([
      '|  | a title longer than its columns |  |',
      '| --- | --- | --- |',
      '| name | x | y |',
      '| n\\|m | 1 | – |',
    ])
  })
})
