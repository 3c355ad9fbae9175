export {
  type Bar,
  type BarChartOptions,
  barChart,
  type ChartLabels,
  type HistogramOptions,
  histogram,
  type LineChartOptions,
  lineChart,
  type Series,
} from './charts.js'
export { type Content, escapeText, Html, html } from './html.js'
export { type ReportPage, type ReportSection, renderPage } from './page.js'
export { type TableOptions, table } from './table.js'
