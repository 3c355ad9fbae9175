import type { BenchmarkEnvironment } from './records.js'
import { detailTable, findings, paperTable } from './results-tables.js'
import type { BenchmarkSummary } from './summary.js'
import { markdownTable } from './table.js'

export interface MarkdownReportOptions {
  /** Heading of the page. Defaults to "Speculative decoding, measured". */
  readonly title?: string
  /** The command that prints the page again. */
  readonly command?: string
}

/** The whole page: tables, what they mean, the machine, what differed or failed. */
export function markdownReport(summary: BenchmarkSummary, options: MarkdownReportOptions = {}): string {
  const { title = 'Speculative decoding, measured', command } = options
  const remarks = findings(summary)
  const parts = [
    `# ${title}`,
    ...(command === undefined ? [] : [`    ${command}`]),
    conditions(summary),
    markdownTable(paperTable(summary)),
    legend(summary),
    '## In detail',
    markdownTable(detailTable(summary)),
    remarks.length === 0
      ? `Every output of every method is ${summary.settings.baseline}'s, token for token.`
      : remarks.map((remark) => `* ${remark}`).join('\n'),
  ]
  return `${parts.join('\n\n')}\n`
}

/** What was asked, how, and on which machine, as sentences. */
export function conditions({ settings, environments }: BenchmarkSummary): string {
  const { dataSets, maxTokens, seed, baseline, system } = settings
  const counts = dataSets.map(({ title, prompts }) => `${title} ${prompts}`).join(', ')
  const asked = `Prompts: ${counts}; at most ${maxTokens} new tokens each, seed ${seed}${system === undefined ? '' : ', with a system message'}; speedups are over ${baseline}.`
  return [asked, ...new Set(environments.map(describeEnvironment))].join('\n')
}

/** What the columns hold. */
export function legend({ settings }: BenchmarkSummary): string {
  return [
    `Throughput is tokens per second of decoding, without the prefill and the first token it brings; speedup is throughput over ${settings.baseline}'s on the same prompts, run in turns prompt by prompt; τ is emitted tokens per target pass, the bonus token included, as a mean over questions (per cycle: over all passes). Mean is over data sets.`,
    'Intervals: 95 %, bootstrap over questions. End to end counts everything from request to answer. An output loops if its last 32 tokens repeat with a period of 16 at most, or its last 64 with one of 32.',
  ].join('\n')
}

function describeEnvironment({
  startedAt,
  cpu,
  cores,
  memoryGiB,
  platform,
  node,
  loadAverage,
  ...facts
}: BenchmarkEnvironment): string {
  const spoken = Object.entries(facts).filter(([, fact]) => typeof fact === 'string' || typeof fact === 'number')
  return `${[
    startedAt.slice(0, 10),
    cpu,
    `${cores} cores`,
    `${memoryGiB} GiB`,
    platform,
    `Node ${node}`,
    ...spoken.map(([name, fact]) => `${name} ${fact}`),
    `load average ${loadAverage[0]!.toFixed(2)}`,
  ].join(', ')}.`
}
