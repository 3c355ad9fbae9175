import {
  availableDataSets,
  type BenchmarkOptions,
  catalogue,
  fetchDataSet,
  openDataSets,
  readResults,
  runBenchmark,
} from '@hass-engine/bench'
import { type Command, InvalidArgumentError } from 'commander'
import { methods } from '../bench/methods.js'
import { openSubjects, type SubjectFlags } from '../bench/open-subjects.js'
import { type PrintFlags, printResults } from '../bench/print-results.js'
import { createProgressBar } from '../bench/progress-bar.js'
import { openServerSubjects, type ServerSubjectFlags } from '../bench/server-subjects.js'
import { UsageError } from '../errors.js'
import { refuseServerKind } from '../open-server.js'
import { addModelFlags, addServerKindFlags, collect, parseNumber } from '../options.js'
import type { Outcome } from '../outcome.js'
import { type Terminal, write } from '../terminal.js'

interface BenchFlags extends SubjectFlags, ServerSubjectFlags, PrintFlags {
  readonly sets?: readonly string[]
  readonly datasets?: string
  readonly temperatures: readonly number[]
  readonly maxTokens: number
  readonly limit?: number
  readonly seed: number
  readonly system?: string
  readonly results?: string
}

export function addBench(program: Command, terminal: Terminal, outcome: Outcome): void {
  const command = program
    .command('bench')
    .enablePositionalOptions()
    .description(
      'measure throughput, speedup and τ of ways to decode over data sets, and whether the text stays the same',
    )
    .option(
      '--server <name=url>',
      'measure servers instead, given once for each; the first is what others are compared with; HASS_API_KEY is their key',
      collect,
    )
    .option('--eagle-draft <folder>', 'a head trained at one alignment step: the row EAGLE-2')
    .option(
      '--methods <names>',
      `some of ${methods.map(({ key }) => key).join(',')} (default: all there are heads for)`,
      parseList,
    )
    .option(
      '--sets <names>',
      'data sets by name, or paths that end in .jsonl (default: the papers’, as far as they are here)',
      parseList,
    )
    .option(
      '--datasets <folder>',
      'read NAME.jsonl from there (default: $HASS_DATASETS_DIR, else what is packaged or fetched)',
    )
    .option('--temperatures <numbers>', 'temperatures', parseNumbers, [0, 1])
    .option('-n, --max-tokens <count>', 'longest answer', parseNumber, 128)
    .option('--limit <count>', 'prompts of each data set (default: all)', parseNumber)
    .option('--seed <integer>', 'prompt i has seed + i', parseNumber, 0)
    .option('--system <text>', 'what the model is told before the prompt')
    .option('--results <file>', 'keep results there as they come, and go on with those that it holds')
  addPrintFlags(addServerKindFlags(addModelFlags(command))).action((flags: BenchFlags) =>
    bench(flags, terminal, outcome),
  )
  addPrintFlags(
    command.command('show').description('print results that were kept').argument('<results>', 'file of --results'),
  ).action(async (path: string, flags: PrintFlags) => {
    await print(await readResults(path), flags, terminal, outcome, `hass bench show ${path} --markdown`)
  })
  const fetchable = catalogue.filter(({ source }) => source)
  command
    .command('fetch')
    .description('download data sets that may not be packaged, and check them')
    .argument('<names...>', fetchable.map(({ name, licence }) => `${name} (${licence})`).join('; '))
    .action(async (names: readonly string[]) => {
      for (const name of names) await write(terminal.output, `${await fetchDataSet(name)}\n`)
    })
}

function addPrintFlags(command: Command): Command {
  return command
    .option('--json', 'print one JSON object')
    .option('--markdown', 'print a page in Markdown')
    .option('--report <file>', 'write an HTML page with charts')
    .option('--title <text>', 'title of the page')
}

async function bench(flags: BenchFlags, terminal: Terminal, outcome: Outcome): Promise<void> {
  refuseTwoFormats(flags)
  const { datasets: directory, temperatures, maxTokens, limit, seed, system, results } = flags
  const place = { environment: terminal.environment, ...(directory !== undefined && { directory }) }
  const dataSets = await openDataSets(flags.sets ?? (await availableDataSets(place)), place)
  const progress = createProgressBar(terminal)
  const interruption = new AbortController()
  const interrupt = () => interruption.abort(new DOMException('The benchmark was interrupted.', 'AbortError'))
  process.once('SIGINT', interrupt)
  try {
    if (!flags.server) refuseServerKind(flags)
    await using opened = flags.server
      ? openServerSubjects(flags.server, flags, terminal)
      : await openSubjects(flags, terminal, interruption.signal)
    const options: BenchmarkOptions = {
      ...opened,
      dataSets,
      temperatures,
      maxTokens,
      seed,
      signal: interruption.signal,
      onProgress: (now) => progress.show(now),
      ...(limit !== undefined && { limit }),
      ...(system !== undefined && { system }),
      ...(results !== undefined && { results }),
    }
    const measured = await runBenchmark(options)
    progress.stop()
    await print(measured, flags, terminal, outcome, 'hass bench --markdown')
  } catch (error) {
    if (!interruption.signal.aborted) throw error
    progress.stop()
    terminal.errors.write(`Interrupted.${results === undefined ? '' : ` The same command goes on with ${results}.`}\n`)
    outcome.status = 130
  } finally {
    process.off('SIGINT', interrupt)
    progress.stop()
  }
}

async function print(
  results: Awaited<ReturnType<typeof runBenchmark>>,
  flags: PrintFlags,
  terminal: Terminal,
  outcome: Outcome,
  command: string,
): Promise<void> {
  refuseTwoFormats(flags)
  // Another text is a defect: whoever runs this in a check should hear of it.
  if (!(await printResults(results, flags, terminal, command))) outcome.status = 1
}

function refuseTwoFormats({ json, markdown }: PrintFlags): void {
  if (json && markdown) throw new UsageError('--json and --markdown are two formats: leave one out.')
}

function parseList(text: string): string[] {
  const parts = text.split(',').map((part) => part.trim())
  if (parts.includes('')) throw new InvalidArgumentError('Expected names with commas between them.')
  return parts
}

function parseNumbers(text: string): number[] {
  return parseList(text).map(parseNumber)
}
