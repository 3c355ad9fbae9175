import { checkOptionKeys } from '@hass-engine/core'
import * as Plot from '@observablehq/plot'
import { parseHTML } from 'linkedom'
import { bucketMeans } from './bucket-means.js'
import { Html, html } from './html.js'
import { numSeriesColors } from './styles.js'

export interface ChartLabels {
  readonly title: string
  /** Defaults to none. */
  readonly xLabel?: string
  /** Defaults to none. */
  readonly yLabel?: string
}

export interface Series {
  readonly name: string
  /** Ascending in x. Points that are not finite are left out. */
  readonly points: readonly (readonly [x: number, y: number])[]
}

export interface LineChartOptions extends ChartLabels {
  readonly series: readonly Series[]
  /** `log`: for values above zero. Defaults to `linear`. */
  readonly yScale?: 'linear' | 'log'
  /** Whether the axis begins at zero. Defaults to false; never on a logarithmic one. */
  readonly fromZero?: boolean
  /** Named places on the x axis, drawn as vertical lines: the phases of a run. Defaults to none. */
  readonly marks?: readonly { readonly x: number; readonly label: string }[]
}

export interface Bar {
  readonly label: string
  readonly value: number
  /** Bars of one group and label stand side by side, coloured by group. Defaults to one group. */
  readonly group?: string
  /** Ends of an interval around the value: of confidence, or smallest and largest. */
  readonly low?: number
  readonly high?: number
}

export interface BarChartOptions extends ChartLabels {
  readonly bars: readonly Bar[]
  /** A value to hold the bars against, drawn as a line: 1 for ratios. Defaults to none. */
  readonly baseline?: number
}

export interface HistogramOptions extends ChartLabels {
  readonly values: readonly number[]
  /** Upper limit of the number of bins. Defaults to 30. */
  readonly bins?: number
}

/** More points than pixels say nothing more: longer series are drawn as means of neighbours. */
const maxPoints = 500
const fewPoints = 40
const size = { width: 620, height: 300 } as const

/**
 * Lines over a numeric axis. Series of more than 500 points are drawn as means of equal stretches of x; single points
 * are marked where there are few.
 *
 * @throws InvalidArgumentError for unknown options
 */
export function lineChart(options: LineChartOptions): Html {
  const keys = ['title', 'xLabel', 'yLabel', 'series', 'yScale', 'fromZero', 'marks']
  checkOptionKeys(options, keys, 'lineChart')
  const { series, yScale = 'linear', fromZero = false, marks = [] } = options
  const isDrawable = ([x, y]: readonly [number, number]) =>
    Number.isFinite(x) && Number.isFinite(y) && (yScale === 'linear' || y > 0)
  const drawn = series.map(({ name, points }) => ({ name, points: bucketMeans(points.filter(isDrawable), maxPoints) }))
  if (drawn.every(({ points }) => points.length === 0)) return figure(options, [], undefined)
  const xs = drawn.flatMap(({ points }) => points.map(([x]) => x))
  const [left, right] = [Math.min(...xs), Math.max(...xs)]
  // A label there would leave the chart: it stands on the other side of its line.
  const isFarRight = (x: number) => x > left + 0.8 * (right - left)
  const plot = Plot.plot({
    ...frame(options),
    x: { label: options.xLabel ?? null },
    y: {
      label: options.yLabel ?? null,
      type: yScale,
      grid: true,
      tickFormat: formatTick,
      ...(yScale === 'linear' && { nice: true }),
    },
    marks: [
      Plot.axisX({ label: options.xLabel ?? null, tickFormat: formatTick }),
      ...(fromZero && yScale === 'linear' ? [Plot.ruleY([0], { strokeOpacity: 0.4 })] : []),
      ...(marks.length > 0
        ? [
            Plot.ruleX(marks, { x: 'x', strokeDasharray: '3,3', strokeOpacity: 0.5 }),
            ...(['start', 'end'] as const).map((textAnchor) =>
              Plot.text(
                marks.filter(({ x }) => isFarRight(x) === (textAnchor === 'end')),
                {
                  x: 'x',
                  text: 'label',
                  frameAnchor: 'top',
                  dx: textAnchor === 'end' ? -4 : 4,
                  textAnchor,
                  fillOpacity: 0.7,
                },
              ),
            ),
          ]
        : []),
      ...drawn.flatMap(({ name, points }, index) => [
        Plot.line(points, { x: '0', y: '1', stroke: color(index), strokeWidth: 1.6 }),
        ...(points.length <= fewPoints
          ? [
              Plot.dot(points, {
                x: '0',
                y: '1',
                r: 2.5,
                fill: color(index),
                title: (point) => pointTitle(name, point),
              }),
            ]
          : []),
      ]),
    ],
  })
  return figure(
    options,
    drawn.map(({ name }) => name),
    plot,
  )
}

/**
 * Upright bars, grouped by label.
 *
 * @throws InvalidArgumentError for unknown options
 */
export function barChart(options: BarChartOptions): Html {
  checkOptionKeys(options, ['title', 'xLabel', 'yLabel', 'bars', 'baseline'], 'barChart')
  const { baseline } = options
  const bars = options.bars
    .filter(({ value }) => Number.isFinite(value))
    .map((bar) => ({ ...bar, group: bar.group ?? '' }))
  if (bars.length === 0) return figure(options, [], undefined)
  const groups = [...new Set(bars.map(({ group }) => group))]
  const intervals = bars.filter(({ low, high }) => low !== undefined && high !== undefined)
  const place = { fx: 'label', x: 'group' } as const
  const plot = Plot.plot({
    ...frame(options),
    fx: { label: options.xLabel ?? null, domain: [...new Set(bars.map(({ label }) => label))], padding: 0.2 },
    x: { axis: null, domain: groups },
    y: { label: options.yLabel ?? null, grid: true, nice: true },
    marks: [
      ...groups.map((group, index) =>
        Plot.barY(
          bars.filter((bar) => bar.group === group),
          { ...place, y: 'value', fill: color(index), title: barTitle },
        ),
      ),
      Plot.ruleX(intervals, { ...place, y1: 'low', y2: 'high', strokeWidth: 1.5 }),
      ...(baseline === undefined ? [] : [Plot.ruleY([baseline], { strokeDasharray: '4,3' })]),
      Plot.ruleY([0]),
    ],
  })
  return figure(options, groups.length > 1 ? groups : [], plot)
}

/**
 * How often values occur, in bins of equal width.
 *
 * @throws InvalidArgumentError for unknown options
 */
export function histogram(options: HistogramOptions): Html {
  checkOptionKeys(options, ['title', 'xLabel', 'yLabel', 'values', 'bins'], 'histogram')
  const values = options.values.filter(Number.isFinite)
  if (values.length === 0) return figure(options, [], undefined)
  const plot = Plot.plot({
    ...frame(options),
    x: { label: options.xLabel ?? null },
    y: { label: options.yLabel ?? null, grid: true, nice: true },
    marks: [
      Plot.axisX({ label: options.xLabel ?? null, tickFormat: formatTick }),
      Plot.rectY(values, {
        ...Plot.binX({ y: 'count' }, { x: (value: number) => value, thresholds: options.bins ?? 30 }),
        fill: color(0),
      }),
      Plot.ruleY([0]),
    ],
  })
  return figure(options, [], plot)
}

function frame({ title }: ChartLabels) {
  // A document of its own for each chart: nothing of a page is shared, and none is there in Node.
  const { document } = parseHTML('<!doctype html><html><body></body></html>')
  return { document, ...size, marginLeft: 52, ariaLabel: title, style: { background: 'none', fontSize: '11px' } }
}

function figure({ title }: ChartLabels, names: readonly string[], plot: { outerHTML: string } | undefined): Html {
  const legend =
    names.length < 2
      ? undefined
      : html`<ul class="legend">${names.map(
          (name, index) => html`<li><span style="background:${color(index)}"></span>${name}</li>`,
        )}</ul>`
  const drawing = plot === undefined ? html`<p class="empty">no data</p>` : new Html(plot.outerHTML)
  return html`<figure><h3>${title}</h3>${legend}${drawing}</figure>`
}

function color(index: number): string {
  return `var(--series-${(index % numSeriesColors) + 1})`
}

/** Large counts as `20k`, tiny values as `3e-4`, others as they are. */
function formatTick(value: number): string {
  if (value !== 0 && Math.abs(value) < 1e-3) return Number(value.toPrecision(3)).toExponential()
  if (Math.abs(value) >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`
  if (Math.abs(value) >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`
  return String(Number(value.toPrecision(6)))
}

function pointTitle(name: string, [x, y]: readonly [number, number]): string {
  return `${name}: ${formatTick(x)}, ${Number(y.toPrecision(4))}`
}

function barTitle({ label, group, value, low, high }: Bar): string {
  const interval =
    low === undefined || high === undefined ? '' : ` (${Number(low.toPrecision(4))} – ${Number(high.toPrecision(4))})`
  return `${[label, group].filter(Boolean).join(', ')}: ${Number(value.toPrecision(4))}${interval}`
}
