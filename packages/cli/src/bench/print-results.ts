import { writeFile } from 'node:fs/promises'
import {
  type BenchmarkResults,
  type BenchmarkSummary,
  conditions,
  detailTable,
  findings,
  legend,
  markdownReport,
  paperTable,
  reportPage,
  summarize,
  textTable,
  textTableParts,
  widthOf,
} from '@hass-engine/bench'
import type { CostTables } from '@hass-engine/core'
import { FileError } from '../errors.js'
import { toJson } from '../format.js'
import { type Terminal, write } from '../terminal.js'

export interface PrintFlags {
  readonly json?: true
  readonly markdown?: true
  readonly report?: string
  readonly title?: string
}

/**
 * Prints results as tables, Markdown or JSON, and writes the report page where it is asked for.
 *
 * @param command what prints them again
 * @returns whether all texts are the baseline's
 */
export async function printResults(
  results: BenchmarkResults,
  { json, markdown, report, title }: PrintFlags,
  terminal: Terminal,
  command: string,
): Promise<boolean> {
  const summary = summarize(results)
  const heading = title === undefined ? {} : { title }
  if (report !== undefined) await writeReport(report, reportPage(summary, { ...heading, ...costsOf(summary) }))
  const text = json
    ? toJson(summary)
    : markdown
      ? markdownReport(summary, { ...heading, command })
      : tablesFor(summary, terminal.output.columns ?? 120)
  await write(terminal.output, text)
  return summary.cells.every(({ identical, prompts }) => identical.prompts === prompts)
}

async function writeReport(path: string, page: string): Promise<void> {
  await writeFile(path, page).catch((cause: unknown) => {
    throw new FileError('Writing', path, cause)
  })
}

/** The costs that were measured when the benchmark began. */
function costsOf({ environments }: BenchmarkSummary): { costs?: CostTables } {
  const found = environments.find(({ costs }) => costs !== undefined)
  return found ? { costs: found.costs as CostTables } : {}
}

/** The papers' table, in as many parts as the terminal's width asks for, and what the table leaves out. */
function tablesFor(summary: BenchmarkSummary, columns: number): string {
  const names = summary.settings.dataSets.map(({ name }) => name)
  const parts: string[] = []
  for (let from = 0; from < names.length; ) {
    let taken = names.length - from
    let table = partOf(summary, names, from, taken)
    while (taken > 1 && widthOf(table) > columns) table = partOf(summary, names, from, --taken)
    parts.push(table)
    from += taken
  }
  const details = textTableParts(detailTable(summary), 3, columns)
  return `${[conditions(summary), ...parts, details, legend(summary), ...findings(summary)].join('\n\n')}\n`
}

function partOf(summary: BenchmarkSummary, names: readonly string[], from: number, count: number): string {
  return textTable(paperTable(summary, names.slice(from, from + count), from + count === names.length))
}
