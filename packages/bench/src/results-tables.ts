import type { Estimate } from './statistics.js'
import type { BenchmarkSummary, SummaryCell, SummaryMean } from './summary.js'
import type { Table } from './table.js'

const nothing = '–'

/**
 * The papers' table: Temperature · Method · for each data set Throughput, Speedup and τ · Mean. τ is the mean over
 * questions, as the papers' own script has it.
 *
 * @param dataSets which of them, by name. Defaults to all
 */
export function paperTable(summary: BenchmarkSummary, dataSets = namesOf(summary), hasMean = true): Table {
  const titles = dataSets.map((name) => titleOf(summary, name))
  const groups = [...titles, ...(hasMean ? ['Mean'] : [])]
  const rows = summary.settings.temperatures.flatMap((temperature) =>
    summary.settings.subjects
      .filter(({ name }) => summary.cells.some((cell) => cell.subject === name && cell.temperature === temperature))
      .map(({ name }, index) => {
        const figures: (SummaryCell | SummaryMean | undefined)[] = dataSets.map((set) =>
          summary.cells.find(
            (cell) => cell.dataSet === set && cell.subject === name && cell.temperature === temperature,
          ),
        )
        if (hasMean) {
          figures.push(summary.means.find((mean) => mean.subject === name && mean.temperature === temperature))
        }
        return [index === 0 ? `T=${temperature}` : '', name, ...figures.flatMap(threeFigures)]
      }),
  )
  return {
    groups: ['', '', ...groups.flatMap((title) => [title, '', ''])],
    head: ['Temperature', 'Method', ...groups.flatMap(() => ['Throughput', 'Speedup', 'τ'])],
    rows,
  }
}

/** What the papers' table leaves out: intervals, both kinds of τ, latencies, where the time went, and whether texts agree. */
export function detailTable(summary: BenchmarkSummary): Table {
  return {
    head: [
      'T',
      'Data set',
      'Method',
      'Speedup (95 %)',
      'τ per question (95 %)',
      'τ per cycle',
      'End to end',
      'First token ms p50 / p95',
      'ms per token p50 / p95',
      'Prefill tokens/s',
      'Draft / verify / other %',
      'Looping %',
      'Same text',
    ],
    rows: byDataSet(summary).map((cell) => [
      String(cell.temperature),
      titleOf(summary, cell.dataSet),
      cell.subject,
      interval(cell.speedup),
      cell.tauPerQuestion ? interval(cell.tauPerQuestion) : nothing,
      number(cell.tauPerCycle?.value),
      `${number(cell.endToEnd.speedup.value)}x`,
      cell.firstTokenMs ? `${number(cell.firstTokenMs.p50, 0)} / ${number(cell.firstTokenMs.p95, 0)}` : nothing,
      `${number(cell.msPerToken.p50, 1)} / ${number(cell.msPerToken.p95, 1)}`,
      number(cell.prefill?.promptTokensPerSecond, 0),
      cell.time ? [cell.time.draft, cell.time.verify, cell.time.other].map(percent).join(' / ') : nothing,
      cell.loopingShare === undefined ? nothing : percent(cell.loopingShare),
      sameText(cell),
    ]),
  }
}

/** Cells that are compared stand below one another. */
function byDataSet({ settings, cells }: BenchmarkSummary): SummaryCell[] {
  return settings.temperatures.flatMap((temperature) =>
    settings.dataSets.flatMap(({ name }) =>
      cells.filter((cell) => cell.temperature === temperature && cell.dataSet === name),
    ),
  )
}

/** One line for each difference from the baseline's text, and for each failure. */
export function findings(summary: BenchmarkSummary): string[] {
  return summary.cells.flatMap(({ subject, dataSet, temperature, prompts, failures, identical }) => {
    const place = `${subject}, ${titleOf(summary, dataSet)}, T=${temperature}`
    const { first } = identical
    return [
      ...(first
        ? [
            `${place}: ${prompts - identical.prompts} of ${prompts} outputs differ from ${summary.settings.baseline}'s, the first at token ${first.position} of turn ${first.turn + 1} of ${first.prompt}.`,
          ]
        : []),
      ...failures.map(
        ({ prompt, code, message }) => `${place}: ${prompt} failed: ${code ? `${code}: ` : ''}${message}`,
      ),
    ]
  })
}

export function titleOf({ settings }: BenchmarkSummary, dataSet: string): string {
  return settings.dataSets.find(({ name }) => name === dataSet)?.title ?? dataSet
}

function namesOf({ settings }: BenchmarkSummary): string[] {
  return settings.dataSets.map(({ name }) => name)
}

function threeFigures(figures: SummaryCell | SummaryMean | undefined): string[] {
  if (!figures) return [nothing, nothing, nothing]
  const speedup = number(figures.speedup.value)
  return [
    number(figures.throughput.value),
    speedup === nothing ? nothing : `${speedup}x`,
    number(figures.tauPerQuestion?.value),
  ]
}

function sameText({ identical, prompts }: SummaryCell): string {
  return `${identical.prompts}/${prompts}`
}

function interval({ value, low, high }: Estimate): string {
  return Number.isFinite(value) ? `${number(value)} [${number(low)}, ${number(high)}]` : nothing
}

function number(value: number | undefined, digits = 2): string {
  return value === undefined || !Number.isFinite(value) ? nothing : value.toFixed(digits)
}

function percent(share: number): string {
  return number(100 * share, 0)
}
