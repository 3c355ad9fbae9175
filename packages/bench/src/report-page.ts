import { type CostTables, checkOptionKeys } from '@hass-engine/core'
import { barChart, type Html, lineChart, type ReportSection, renderPage, table } from '@hass-engine/report'
import { conditions, legend } from './markdown-report.js'
import { detailTable, findings, paperTable, titleOf } from './results-tables.js'
import { mean } from './statistics.js'
import type { BenchmarkSummary, SummaryCell } from './summary.js'

export interface ReportPageOptions {
  /** Defaults to "Speculative decoding, measured". */
  readonly title?: string
  /** Measured costs of passes, drawn as curves. Defaults to none. */
  readonly costs?: CostTables
}

/** Tokens of a cycle from here on are one bar: longer runs are rare. */
const mostTokens = 10

/** The results as one HTML file with its charts inside. */
export function reportPage(summary: BenchmarkSummary, options: ReportPageOptions = {}): string {
  checkOptionKeys(options, ['title', 'costs'], 'reportPage')
  const { title = 'Speculative decoding, measured', costs } = options
  const { settings, means, environments } = summary
  const remarks = findings(summary)
  return renderPage({
    title,
    subtitle: [...new Set(environments.map(({ cpu, startedAt }) => `${startedAt.slice(0, 10)}, ${cpu}`))].join('; '),
    highlights: means
      .filter(({ subject }) => subject !== settings.baseline)
      .map(({ subject, temperature, speedup, tauPerQuestion }) => ({
        label: `${subject}, T=${temperature}`,
        value: `${speedup.value.toFixed(2)}×`,
        note: `${speedup.low.toFixed(2)} – ${speedup.high.toFixed(2)}${tauPerQuestion ? `, τ ${tauPerQuestion.value.toFixed(2)}` : ''}`,
      })),
    sections: [
      { heading: 'Results', note: conditions(summary), body: [papersTable(summary)] },
      ...settings.temperatures.map((temperature) => temperatureSection(summary, temperature)),
      ...(costs ? [costSection(costs)] : []),
      {
        heading: 'In detail',
        note: legend(summary),
        body: [table({ columns: detailTable(summary).head, rows: detailTable(summary).rows })],
      },
      {
        heading: 'Differences and failures',
        note: remarks.length === 0 ? `None: every output is that of ${settings.baseline}, token for token.` : undefined,
        body: remarks.length === 0 ? [] : [table({ columns: ['finding'], rows: remarks.map((remark) => [remark]) })],
      },
    ],
  })
}

/** A table of one row of heads: the data set stands in each of its three. */
function papersTable(summary: BenchmarkSummary): Html {
  const { groups = [], head, rows } = paperTable(summary)
  let group = ''
  const columns = head.map((name, column) => {
    group = groups[column] || group
    return `${group} ${name}`.trim()
  })
  return table({ columns, rows })
}

function temperatureSection(summary: BenchmarkSummary, temperature: number): ReportSection {
  const { baseline } = summary.settings
  const cells = summary.cells.filter((cell) => cell.temperature === temperature)
  const drafting = cells.filter(({ subject, depths }) => subject !== baseline && depths && depths.length > 0)
  return {
    heading: `At temperature ${temperature}`,
    body: [
      barChart({
        title: `Speedup over ${baseline}, with 95 % intervals`,
        yLabel: 'speedup',
        baseline: 1,
        bars: cells
          .filter(({ subject }) => subject !== baseline)
          .map(({ subject, dataSet, speedup }) => ({ ...speedup, label: titleOf(summary, dataSet), group: subject })),
      }),
      barChart({
        title: 'τ per question, with 95 % intervals',
        yLabel: 'tokens per target pass',
        bars: drafting.flatMap(({ subject, dataSet, tauPerQuestion }) =>
          tauPerQuestion ? [{ ...tauPerQuestion, label: titleOf(summary, dataSet), group: subject }] : [],
        ),
      }),
      lineChart({
        title: 'Acceptance by depth: of the cycles that accepted the depth above',
        xLabel: 'depth',
        yLabel: 'share accepted',
        fromZero: true,
        series: bySubject(drafting).map(([name, own]) => ({ name, points: meanByDepth(own, ({ rate }) => rate) })),
      }),
      lineChart({
        title: 'Cycles that accepted a node so deep',
        xLabel: 'depth',
        yLabel: 'share of cycles',
        fromZero: true,
        series: bySubject(drafting).map(([name, own]) => ({
          name,
          points: meanByDepth(own, ({ accepted }) => accepted),
        })),
      }),
      barChart({
        title: 'Tokens per cycle',
        xLabel: 'tokens',
        yLabel: 'share of cycles',
        bars: bySubject(drafting).flatMap(([group, own]) =>
          tokenShares(own).map((value, index) => ({
            label: index + 1 === mostTokens ? `≥ ${mostTokens}` : String(index + 1),
            value,
            group,
          })),
        ),
      }),
      barChart({
        title: 'Where decoding spent its time',
        yLabel: 'share',
        bars: bySubject(cells).flatMap(([label, own]) => {
          const times = own.flatMap(({ time }) => time ?? [])
          if (times.length === 0) return []
          return (['draft', 'verify', 'other'] as const).map((group) => {
            return { label, group, value: mean(times.map((time) => time[group])) }
          })
        }),
      }),
    ],
  }
}

function costSection({ verify, draft }: CostTables): ReportSection {
  const points = ({ rows, ms }: CostTables['verify']) => rows.map((count, i) => [count, ms[i]!] as const)
  return {
    heading: 'What passes cost',
    note: 'T(n): one pass of the target over n tree nodes. D(n): one pass of the draft head over n nodes of a level.',
    body: [
      lineChart({
        title: 'T(n)',
        xLabel: 'rows',
        yLabel: 'ms',
        fromZero: true,
        series: [{ name: 'T', points: points(verify) }],
      }),
      lineChart({
        title: 'D(n)',
        xLabel: 'rows',
        yLabel: 'ms',
        fromZero: true,
        series: [{ name: 'D', points: points(draft) }],
      }),
      lineChart({
        title: 'T(n) over T(1)',
        xLabel: 'rows',
        yLabel: 'times one row',
        fromZero: true,
        series: [
          { name: 'T', points: points(verify).map(([rows, ms]) => [rows, ms / verify.ms[0]!] as const) },
          { name: 'D', points: points(draft).map(([rows, ms]) => [rows, ms / verify.ms[0]!] as const) },
        ],
      }),
    ],
  }
}

function bySubject(cells: readonly SummaryCell[]): [string, SummaryCell[]][] {
  const subjects = [...new Set(cells.map(({ subject }) => subject))]
  return subjects.map((name) => [name, cells.filter(({ subject }) => subject === name)])
}

/** Means over data sets; depths that none of them drafted have no point. */
function meanByDepth(
  cells: readonly SummaryCell[],
  figure: (depth: NonNullable<SummaryCell['depths']>[number]) => number,
): [number, number][] {
  const deepest = Math.max(...cells.map(({ depths }) => depths!.length))
  return Array.from({ length: deepest }, (_, index) => [
    index + 1,
    mean(cells.flatMap(({ depths }) => (depths![index] ? [figure(depths![index])] : []))),
  ])
}

function tokenShares(cells: readonly SummaryCell[]): number[] {
  const most = Math.min(mostTokens, Math.max(...cells.map(({ tokensPerCycle }) => tokensPerCycle!.length)))
  return Array.from({ length: most }, (_, index) =>
    mean(
      cells.map(({ tokensPerCycle }) => {
        const end = index + 1 === mostTokens ? undefined : index + 1
        return tokensPerCycle!.slice(index, end).reduce((sum, share) => sum + share, 0)
      }),
    ),
  )
}
