import { InvalidArgumentError } from '@hass-engine/core'
import { parseHTML } from 'linkedom'
import { describe, expect, it } from 'vitest'
import { barChart, histogram, lineChart } from './charts.js'
import { renderPage } from './page.js'
import { table } from './table.js'

const hostile = `<img src=x onerror=alert(1)>"'&`

function pageOf(...body: Parameters<typeof renderPage>[0]['sections'][number]['body']) {
  const text = renderPage({
    title: hostile,
    subtitle: hostile,
    highlights: [{ label: hostile, value: hostile, note: hostile }],
    sections: [{ heading: hostile, note: hostile, body }],
  })
  return { text, document: parseHTML(text).document }
}

describe('renderPage', () => {
  it('holds charts and tables, escapes every text, and loads nothing', () => {
    const { text, document } = pageOf(
      lineChart({
        title: hostile,
        xLabel: hostile,
        yLabel: hostile,
        marks: [{ x: 1, label: hostile }],
        series: [0, 1].map((index) => ({
          name: hostile,
          points: [
            [0, index],
            [1, 2],
          ],
        })),
      }),
      barChart({ title: hostile, bars: [{ label: hostile, group: hostile, value: 2, low: 1, high: 3 }] }),
      histogram({ title: hostile, values: [1, 2, 2, 3] }),
      table({ title: hostile, columns: [hostile], rows: [[hostile]] }),
    )
    expect(document.querySelectorAll('svg')).toHaveLength(3)
    expect(document.querySelectorAll('img, script, link, iframe')).toHaveLength(0)
    expect(text).not.toMatch(/(src|href)\s*=\s*["']?(https?:)?\/\//i)
    expect(text).not.toMatch(/url\(|@import/)
    expect(document.querySelector('h1')!.textContent).toBe(hostile)
    expect(document.querySelector('td')!.textContent).toBe(hostile)
  })

  it('refuses options that it does not know', () => {
    expect(() => renderPage({ title: 'x', sections: [], colour: 'red' } as never)).toThrow(InvalidArgumentError)
    expect(() => lineChart({ title: 'x', series: [], log: true } as never)).toThrow(InvalidArgumentError)
    expect(() => barChart({ title: 'x', bars: [], log: true } as never)).toThrow(InvalidArgumentError)
    expect(() => histogram({ title: 'x', values: [], log: true } as never)).toThrow(InvalidArgumentError)
    expect(() => table({ columns: [], rows: [], log: true } as never)).toThrow(InvalidArgumentError)
  })
})

describe('lineChart', () => {
  const series = (points: (readonly [number, number])[]) => [{ name: 'loss', points }]

  it('draws as many points as it is given, and no more than fit', () => {
    const draw = (count: number) =>
      lineChart({ title: 'x', series: series(Array.from({ length: count }, (_, x) => [x, x % 7] as const)) }).markup
    const pathPoints = (markup: string) => /aria-label="line".*? d="([^"]*)"/.exec(markup)![1]!.split('L').length
    expect(pathPoints(draw(100))).toBe(100)
    expect(pathPoints(draw(100_000))).toBeLessThanOrEqual(500)
  })

  it('leaves out what cannot be drawn', () => {
    const points = [[0, Number.NaN] as const, [1, Infinity] as const, [2, 0] as const, [3, 10] as const]
    expect(lineChart({ title: 'x', series: series(points) }).markup).not.toContain('NaN')
    const log = lineChart({ title: 'x', yScale: 'log', series: series(points) }).markup
    expect(log).not.toMatch(/NaN|Infinity/)
  })

  it('says so where there is no data', () => {
    expect(lineChart({ title: 'x', series: series([[0, Number.NaN]]) }).markup).toContain('no data')
    expect(barChart({ title: 'x', bars: [] }).markup).toContain('no data')
    expect(histogram({ title: 'x', values: [Number.NaN] }).markup).toContain('no data')
  })
})

describe('barChart', () => {
  it('draws a bar for each value and a line for each interval', () => {
    const bars = ['a', 'b'].flatMap((label) =>
      ['T=0', 'T=1'].map((group, index) => ({ label, group, value: 1 + index, low: 0.5, high: 2.5 })),
    )
    const { document } = pageOf(barChart({ title: 'speedup', bars, baseline: 1 }))
    expect(document.querySelectorAll('svg g[aria-label="bar"] rect')).toHaveLength(4)
    expect(document.querySelectorAll('svg g[aria-label="rule"] line').length).toBeGreaterThanOrEqual(4)
    expect([...document.querySelectorAll('.legend li')].map((item) => item.textContent)).toEqual(['T=0', 'T=1'])
  })
})

describe('table', () => {
  it('stands columns of numbers right, and others left', () => {
    const { document } = pageOf(
      table({
        columns: ['name', 'ratio', 'count'],
        rows: [
          ['a', '1.5×', 3],
          ['b', '–', 4],
        ],
      }),
    )
    expect([...document.querySelectorAll('th')].map(({ className }) => className)).toEqual(['text', 'number', 'number'])
  })
})
