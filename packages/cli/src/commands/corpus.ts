import { createTargetModel } from '@hass-engine/models'
import {
  type CorpusDialogue,
  type CorpusEvent,
  type CorpusPrompt,
  type CorpusRecipe,
  type CreateCorpusOptions,
  corpusRecipes,
  createCorpus,
  createLocalFeatureSource,
  findPromptFiles,
  identifyTarget,
  readDialogues,
  readPrompts,
  type TemperatureShare,
} from '@hass-engine/trainer'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { createCountBar } from '../count-bar.js'
import { UsageError } from '../errors.js'
import { toJson } from '../format.js'
import { openTarget } from '../open-target.js'
import { type ModelFlags, parseNumber } from '../options.js'
import type { Outcome } from '../outcome.js'
import { type Terminal, write } from '../terminal.js'

interface CorpusFlags extends Pick<ModelFlags, 'model' | 'threads' | 'device'> {
  readonly output: string
  readonly prompts?: readonly string[]
  readonly dialogues?: readonly string[]
  readonly recipe?: keyof typeof corpusRecipes
  readonly exclude?: readonly string[]
  readonly temperatures?: readonly TemperatureShare[]
  readonly salt?: string
  readonly maxTokens?: number
  readonly maxPromptTokens?: number
  readonly maxTurns?: number
  readonly features: 'BF16' | 'F16' | 'recompute'
  readonly shardSize?: number
  readonly batch: number
  readonly limit?: number
  readonly json?: true
}

export function addCorpus(program: Command, terminal: Terminal, outcome: Outcome): void {
  program
    .command('corpus')
    .description('let a model answer prompts, and keep its answers and features to train a head on; resumable')
    .requiredOption('-o, --output <folder>', 'the corpus; one that was begun there is gone on with')
    .option(
      '-p, --prompts <paths>',
      'JSONL files of {"id", "turns"}, or folders of prompts-DOMAIN.jsonl (default: $HASS_PROMPTS_DIR)',
      parseList,
    )
    .option('--dialogues <paths>', 'JSONL or JSON files of {"messages"} or ShareGPT’s {"conversations"}', parseList)
    .addOption(
      new Option('-r, --recipe <name>', 'domains, exclusions and settings by name').choices(Object.keys(corpusRecipes)),
    )
    .option('--exclude <prefixes>', 'leave out prompts whose ids begin so', parseList)
    .option('--temperatures <shares>', 'such as 0:0.5,1:0.35,0.7:0.15, which is the default', parseShares)
    .option('--salt <text>', 'another salt, other temperatures and seeds of the prompts')
    .option('-n, --max-tokens <count>', 'longest answer (default: 512)', parseNumber)
    .option('--max-prompt-tokens <count>', 'longer prompts are left out (default: 1536)', parseNumber)
    .option('--max-turns <count>', 'turns that are answered (default: 8)', parseNumber)
    .addOption(
      new Option('--features <kind>', 'how features are kept').choices(['BF16', 'F16', 'recompute']).default('BF16'),
    )
    .option('--shard-size <count>', 'prompts of a file (default: 128)', parseNumber)
    .option('--batch <count>', 'texts that are decoded side by side', parseNumber, 16)
    .option('--limit <count>', 'take so many prompts of the list', parseNumber)
    .option('-m, --model <path>', 'the target (default: the embedded SmolLM2-135M-Instruct)')
    .option('-t, --threads <count>', 'threads of the kernels (default: the cores)', parseNumber)
    .addOption(new Option('--device <kind>', 'where to compute').choices(['auto', 'cpu', 'reference']))
    .option('--json', 'print events as JSON, one a line')
    .action((flags: CorpusFlags) => corpus(flags, terminal, outcome))
}

async function corpus(flags: CorpusFlags, terminal: Terminal, outcome: Outcome): Promise<void> {
  const recipe = flags.recipe && corpusRecipes[flags.recipe]
  const texts = await readTexts(flags, recipe, terminal)
  const settings = { ...recipe?.settings, ...settingsOf(flags) }
  await using opened = await openTarget(flags)
  const { model, tokenizer, device } = opened
  const longest = (settings.maxPromptTokens ?? 1536) + (settings.maxTokens ?? 512)
  const cacheTokens = flags.batch * Math.min(longest, model.config.maxContext)
  await using target = await createTargetModel({ device, model, cacheTokens })
  const source = createLocalFeatureSource({
    target,
    identity: await identifyTarget(model),
    maxSequences: flags.batch,
  })
  const interruption = new AbortController()
  // A second one ends the process as ever.
  const interrupt = () => interruption.abort()
  process.once('SIGINT', interrupt)
  const bar = createCountBar(terminal, texts.length, 'prompts')
  try {
    const options: CreateCorpusOptions = {
      ...settings,
      folder: flags.output,
      source,
      tokenizer,
      texts,
      features: flags.features,
      concurrency: 2 * flags.batch,
      signal: interruption.signal,
      ...(flags.shardSize !== undefined && { promptsPerShard: flags.shardSize }),
    }
    await report(createCorpus(options), flags, terminal, bar.show)
  } catch (error) {
    if (!interruption.signal.aborted) throw error
    outcome.status = 130
  } finally {
    process.off('SIGINT', interrupt)
    bar.stop()
  }
}

async function report(
  events: AsyncIterable<CorpusEvent>,
  { json, output: folder }: CorpusFlags,
  { output }: Terminal,
  show: (done: number, note: string) => void,
): Promise<void> {
  let [done, tokens] = [0, 0]
  const startedAt = performance.now()
  for await (const event of events) {
    if (json) await write(output, toJson(event))
    if (event.type === 'corpus-start') done = event.donePrompts
    if (event.type === 'prompt-skipped') done++
    if (event.type === 'sequence-end') {
      done++
      tokens += event.responseTokens
    }
    const rate = (1000 * tokens) / (performance.now() - startedAt)
    if (event.type !== 'corpus-end') show(done, `${rate.toFixed(0)} tokens/s`)
    if (event.type !== 'corpus-end' || json) continue
    const { shards } = event.manifest
    const sum = (of: (shard: (typeof shards)[number]) => number) => shards.reduce((total, one) => total + of(one), 0)
    const sequences = sum((shard) => shard.sequences)
    const responses = sum(({ responseTokens }) => responseTokens)
    const skipped = sum((shard) => shard.skipped)
    await write(
      output,
      `${folder}: ${sequences} texts, ${responses} response tokens in ${shards.length} shards; ${skipped} prompts were left out.\n`,
    )
  }
}

async function readTexts(
  flags: CorpusFlags,
  recipe: CorpusRecipe | undefined,
  { environment }: Terminal,
): Promise<(CorpusPrompt | CorpusDialogue)[]> {
  const { dialogues = [], limit } = flags
  const folder = environment.HASS_PROMPTS_DIR
  const paths = flags.prompts ?? (dialogues.length === 0 && folder ? [folder] : [])
  if (paths.length === 0 && dialogues.length === 0) {
    throw new UsageError(
      'There is nothing to answer: name files with --prompts or --dialogues, or set HASS_PROMPTS_DIR.',
    )
  }
  const files = (await Promise.all(paths.map((path) => findPromptFiles(path, recipe?.domains)))).flat()
  const excludedPrefixes = [...(recipe?.excludedPrefixes ?? []), ...(flags.exclude ?? [])]
  const prompts = await readPrompts({ files, excludedPrefixes })
  const read = await Promise.all(dialogues.map((path) => readDialogues(path)))
  const texts = [...prompts, ...read.flat()]
  return limit === undefined ? texts : texts.slice(0, limit)
}

/** Those that were given. */
function settingsOf({ temperatures, salt, maxTokens, maxPromptTokens, maxTurns }: CorpusFlags) {
  return {
    ...(temperatures && { temperatures }),
    ...(salt !== undefined && { salt }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...(maxPromptTokens !== undefined && { maxPromptTokens }),
    ...(maxTurns !== undefined && { maxTurns }),
  }
}

function parseList(text: string, before: readonly string[] = []): string[] {
  const parts = text.split(',').map((part) => part.trim())
  if (parts.includes('')) throw new InvalidArgumentError('Expected names with commas between them.')
  return [...before, ...parts]
}

function parseShares(text: string): TemperatureShare[] {
  return text.split(',').map((part) => {
    const [temperature, share, ...more] = part.split(':')
    if (share === undefined || more.length > 0) {
      throw new InvalidArgumentError('Expected TEMPERATURE:SHARE pairs with commas between them.')
    }
    return { temperature: parseNumber(temperature!), share: parseNumber(share) }
  })
}
