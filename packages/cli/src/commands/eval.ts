import { createDraftHead, createTargetModel } from '@hass-engine/models'
import {
  createDataset,
  type EvaluationRow,
  evaluateHead,
  evaluateOnCorpus,
  findPromptFiles,
  type HeadSetting,
  identifyTarget,
  openCorpus,
  readPrompts,
} from '@hass-engine/trainer'
import { openModel } from '@hass-engine/weights'
import { type Command, InvalidArgumentError } from 'commander'
import { createCountBar } from '../count-bar.js'
import { UsageError } from '../errors.js'
import { defaultTrees, settingsFor } from '../eval/settings.js'
import { formatTable, toJson } from '../format.js'
import { openEngine } from '../open-engine.js'
import { openTarget } from '../open-target.js'
import { addModelFlags, type ModelFlags, parseNumber } from '../options.js'
import { type Terminal, write } from '../terminal.js'

interface EvalFlags extends ModelFlags {
  readonly prompts?: readonly string[]
  readonly corpus?: string
  readonly heldOutShare: number
  readonly trees: readonly string[]
  readonly temperatures: readonly number[]
  readonly maxTokens: number
  readonly limit?: number
  readonly json?: true
}

/** A row, and how fast it was where texts were generated. */
type MeasuredRow = EvaluationRow & { readonly tokensPerSecond?: number }

export function addEval(program: Command, terminal: Terminal): void {
  const command = program
    .command('eval')
    .description('measure what is accepted of a draft head: τ and by depth, for chains and trees, plain and coupled')
    .option('-p, --prompts <paths>', 'generate answers to these: files or folders as "hass corpus" takes', parseList)
    .option('-c, --corpus <folder>', 'replay the held-out responses of a corpus: a fraction of the time')
    .option('--held-out-share <share>', 'of the corpus, as it was trained with', parseNumber, 0.02)
    .option('--trees <names>', 'chain:N, tree:N and cost-aware:N, N nodes', parseList, defaultTrees)
    .option('--temperatures <numbers>', 'temperatures', parseNumbers, [0, 1])
    .option('-n, --max-tokens <count>', 'longest answer', parseNumber, 128)
    .option('--limit <count>', 'prompts, of each temperature of a corpus (default: all)', parseNumber)
    .option('--json', 'print one JSON object')
  addModelFlags(command).action((flags: EvalFlags) => evaluate(flags, terminal))
}

async function evaluate(flags: EvalFlags, terminal: Terminal): Promise<void> {
  const { prompts, corpus, json } = flags
  if ((prompts === undefined) === (corpus === undefined)) {
    throw new UsageError('Name either --prompts, to generate, or --corpus, to replay.')
  }
  const settings = settingsFor(flags.trees, flags.temperatures)
  const rows =
    corpus === undefined ? await generate(flags, settings, terminal) : await replay(flags, settings, terminal)
  await write(terminal.output, json ? toJson({ rows }) : `${tableOf(rows)}\n`)
}

async function generate(flags: EvalFlags, settings: HeadSetting[], terminal: Terminal): Promise<MeasuredRow[]> {
  const files = (await Promise.all(flags.prompts!.map((path) => findPromptFiles(path)))).flat()
  const prompts = (await readPrompts({ files })).slice(0, flags.limit)
  if (prompts.length === 0) throw new UsageError('There are no prompts in these files.')
  await using engine = await openEngine(flags, terminal)
  if (!engine.draft) throw new UsageError('There is no head to measure: name its folder with --draft.')
  const asked = prompts.map(({ id, turns }) => ({ id, messages: [{ role: 'user', content: turns[0]! }] }))
  const bar = createCountBar(terminal, asked.length * settings.length, 'answers')
  bar.show(0)
  const rows: MeasuredRow[] = []
  try {
    for await (const event of evaluateHead({ engine, prompts: asked, settings, maxTokens: flags.maxTokens })) {
      if (event.type === 'prompt-end') bar.show(event.done)
      else rows.push({ ...event.row, tokensPerSecond: event.tokensPerSecond })
    }
  } finally {
    bar.stop()
  }
  return rows
}

async function replay(flags: EvalFlags, settings: HeadSetting[], terminal: Terminal): Promise<MeasuredRow[]> {
  if (flags.draft === undefined || ['ngram', 'none'].includes(flags.draft)) {
    throw new UsageError('There is no head to measure: name its folder with --draft.')
  }
  await using opened = await openTarget(flags)
  const { model, device } = opened
  const corpus = await openCorpus(flags.corpus!, { target: await identifyTarget(model) })
  const { heldOutShare } = flags
  const { corpusSequences } = createDataset({ corpus, seed: 0, split: 'held-out', heldOutShare, noise: 0 })
  const sequences = limitByTemperature(corpusSequences, flags.limit, (i) => corpus.sequences[i]!.temperature)
  const longest = Math.max(...sequences.map((i) => corpus.sequences[i]!.tokens.length)) + 256
  await using target = await createTargetModel({ device, model, cacheTokens: longest })
  const head = await openModel(flags.draft)
  await using draft = await createDraftHead({ device, target, model: head, cacheTokens: 16 * longest })
  const bar = createCountBar(terminal, settings.length, 'settings')
  bar.show(0)
  const rows: MeasuredRow[] = []
  try {
    for await (const row of evaluateOnCorpus({ corpus, sequences, draft, settings })) {
      rows.push(row)
      bar.show(rows.length)
    }
  } finally {
    bar.stop()
  }
  return rows
}

/** The first of each temperature. */
function limitByTemperature(
  sequences: Uint32Array,
  limit: number | undefined,
  temperatureOf: (sequence: number) => number | undefined,
): number[] {
  const taken = new Map<number | undefined, number>()
  return [...sequences].filter((sequence) => {
    const temperature = temperatureOf(sequence)
    const count = (taken.get(temperature) ?? 0) + 1
    taken.set(temperature, count)
    return limit === undefined || count <= limit
  })
}

function tableOf(rows: readonly MeasuredRow[]): string {
  const hasSpeed = rows.some(({ tokensPerSecond }) => tokensPerSecond !== undefined)
  const header = ['T', 'trees', 'candidates', 'prompts', 'τ (95 %)', 'τ by prompt', 'accepted at depth 1, 2, …']
  const lines = rows.map((row) => {
    const { value, low, high } = row.acceptanceLength
    return [
      String(row.temperature),
      row.name,
      row.isCoupled ? 'coupled' : 'plain',
      String(row.prompts),
      `${value.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`,
      row.acceptanceLengthByPrompt.value.toFixed(2),
      row.acceptanceByDepth.map((share) => share.toFixed(2)).join(' '),
      ...(hasSpeed ? [row.tokensPerSecond!.toFixed(1)] : []),
    ]
  })
  return formatTable([[...header, ...(hasSpeed ? ['tokens/s'] : [])], ...lines])
}

function parseList(text: string): string[] {
  const parts = text.split(',').map((part) => part.trim())
  if (parts.includes('')) throw new InvalidArgumentError('Expected names with commas between them.')
  return parts
}

function parseNumbers(text: string): number[] {
  return parseList(text).map(parseNumber)
}
