import { type ServerKind, serverKinds } from '@hass-engine/client'
import type { EngineGenerateOptions, EngineOptions } from '@hass-engine/engine'
import { type Command, InvalidArgumentError, Option } from 'commander'

/** Which model, and where it runs. */
export interface ModelFlags {
  readonly model?: string
  readonly draft?: string
  readonly threads?: number
  readonly device?: 'auto' | 'cpu' | 'cuda' | 'reference'
  readonly contextTokens?: number
}

/** What servers are, and which of their models answers. */
export interface ServerKindFlags {
  readonly serverKind?: ServerKind
  readonly serverModel?: string
}

/** Of `chat` and `generate`: which server answers instead of a model on this machine. */
export interface ServerFlags extends ServerKindFlags {
  readonly server?: string
}

/** Of `chat` and `generate`: how tokens are chosen, and when the text ends. */
export interface SamplingFlags {
  readonly maxTokens: number
  readonly temperature?: number
  readonly topK?: number
  readonly topP?: number
  readonly minP?: number
  readonly typicalP?: number
  readonly repetitionPenalty?: number
  readonly presencePenalty?: number
  readonly frequencyPenalty?: number
  readonly seed?: bigint
  readonly stop?: readonly string[]
  readonly plain?: true
}

export function addModelFlags(command: Command): Command {
  return command
    .option('-m, --model <path>', 'folder with config.json, or GGUF file (default: the embedded SmolLM2-135M-Instruct)')
    .option('-d, --draft <folder>', 'draft head; "ngram" drafts from the text itself, "none" decodes plainly')
    .option('-t, --threads <count>', 'threads of the kernels (default: the cores)', parseNumber)
    .addOption(new Option('--device <kind>', 'where to compute').choices(['auto', 'cpu', 'cuda', 'reference']))
    .option('--context-tokens <count>', 'longest text (default: the model’s, at most 4096)', parseNumber)
}

export function addServerFlags(command: Command): Command {
  return addServerKindFlags(
    command.option('--server <url>', 'ask a server instead of a model on this machine; HASS_API_KEY is its key'),
  )
}

export function addServerKindFlags(command: Command): Command {
  return command
    .addOption(new Option('--server-kind <kind>', 'what the server is (default: openai)').choices(serverKinds))
    .option('--server-model <name>', 'which of the server’s models')
}

export function addSamplingFlags(command: Command): Command {
  return command
    .option('-n, --max-tokens <count>', 'longest answer', parseNumber, 1024)
    .option('--temperature <number>', '0 takes the likeliest token (default: 0)', parseNumber)
    .option('--top-k <count>', 'choose among the likeliest', parseNumber)
    .option('--top-p <number>', 'choose among the likeliest that make up so much', parseNumber)
    .option('--min-p <number>', 'drop what is less likely than so much of the likeliest', parseNumber)
    .option('--typical-p <number>', 'choose among the most typical that make up so much', parseNumber)
    .option('--repetition-penalty <number>', 'above 1: against tokens that occurred', parseNumber)
    .option('--presence-penalty <number>', 'taken off logits of tokens that were generated', parseNumber)
    .option('--frequency-penalty <number>', 'the same, each time they were', parseNumber)
    .option('-s, --seed <integer>', 'same seed, same text (default: a fresh one)', parseSeed)
    .option('--stop <text>', 'ends the text; may be given several times', collect)
    .option('--plain', 'decode without speculation: the same text')
}

/** The flags as `loadEngine` takes them. */
export function engineOptions(flags: ModelFlags): EngineOptions {
  const { draft, model, threads, device, contextTokens } = flags
  return defined({ model, threads, device, contextTokens, draft: draft === 'none' ? false : draft })
}

/** The flags as `Engine.streamText` takes them. */
export function generateOptions(flags: SamplingFlags): EngineGenerateOptions {
  const { maxTokens, temperature, topK, topP, minP, typicalP, seed, stop, plain } = flags
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = flags
  return defined({
    maxTokens,
    temperature,
    topK,
    topP,
    minP,
    typicalP,
    repetitionPenalty,
    presencePenalty,
    frequencyPenalty,
    seed,
    stop,
    speculate: plain ? false : undefined,
  })
}

/** @throws InvalidArgumentError of commander, which makes it an error of usage */
export function parseNumber(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) throw new InvalidArgumentError('Expected a number.')
  return value
}

/** @throws InvalidArgumentError of commander */
export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Expected a whole number.')
  return Number(text)
}

/** @throws InvalidArgumentError of commander */
export function parseSeed(text: string): bigint {
  if (!/^\d{1,20}$/.test(text)) throw new InvalidArgumentError('Expected an integer from 0 to 2^64 - 1.')
  return BigInt(text)
}

export function collect(text: string, texts: readonly string[] = []): string[] {
  return [...texts, text]
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> }

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>
}
