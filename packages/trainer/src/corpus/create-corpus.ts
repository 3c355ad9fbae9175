import { checkNumber, checkOptionKeys, InvalidArgumentError } from '@hass-engine/core'
import type { Tokenizer } from '@hass-engine/tokenizer'
import type { FileSystem } from '@hass-engine/weights'
import type { CorpusEvent } from './corpus-events.js'
import { type CorpusSettings, completeSettings } from './corpus-settings.js'
import { type CorpusWriter, openCorpusWriter } from './corpus-writer.js'
import type { CorpusDialogue } from './dialogues.js'
import type { FeatureSource } from './feature-source.js'
import { makeSequence, type SequenceMaker } from './make-sequence.js'
import type { FeatureStorage } from './manifest.js'
import type { CorpusPrompt } from './prompts.js'
import type { FeaturedSequence } from './sequence.js'

export interface CreateCorpusOptions extends Partial<CorpusSettings> {
  /** Created if it is not there; a corpus that was begun there with the same options is gone on with. */
  readonly folder: string
  readonly source: FeatureSource
  readonly tokenizer: Tokenizer
  /** Prompts to be answered and dialogues to be read, in order; every id once. */
  readonly texts: readonly (CorpusPrompt | CorpusDialogue)[]
  /** How features are kept: `recompute` saves the disk and costs a pass of the target each time. Defaults to `BF16`. */
  readonly features?: FeatureStorage
  /** Texts of a shard: what an interruption can cost, and what is held in memory twice over. Defaults to 128. */
  readonly promptsPerShard?: number
  /** Texts that are worked on together. Defaults to 32. */
  readonly concurrency?: number
  readonly signal?: AbortSignal
  /** Stands in for `node:fs/promises`. Defaults to that. */
  readonly fileSystem?: FileSystem
}

const settingKeys = ['temperatures', 'salt', 'maxTokens', 'maxPromptTokens', 'maxTurns', 'endTokens'] as const
const optionKeys = [
  ...settingKeys,
  'folder',
  'source',
  'tokenizer',
  'texts',
  'features',
  'promptsPerShard',
  'concurrency',
  'signal',
  'fileSystem',
]

/**
 * Makes a corpus: prompts with the target's own responses, and dialogues, with the target's features, shard by shard.
 *
 * Each text's temperature and seed follow from its id, and what the target computes does not depend on what it computes
 * beside, so the same texts and settings give the same bytes, however often the work was interrupted, at any instant.
 * Defaults of the settings: temperatures 0, 1 and 0.7 with shares 0.5, 0.35 and 0.15, no salt, 512 tokens of a response,
 * 1536 of a prompt, 8 turns, the tokenizer's ends of generation.
 *
 * Ends when the corpus is complete; leaving the loop stops the work.
 *
 * @throws CorpusError `HASS_ERR_CORPUS_LOCKED`, `HASS_ERR_CORPUS_MISMATCH`, `HASS_ERR_CORPUS_CORRUPT`; WeightsError
 * `HASS_ERR_NO_SPACE`, `HASS_ERR_FILE_WRITE`; what the source throws
 */
export async function* createCorpus(options: CreateCorpusOptions): AsyncGenerator<CorpusEvent, void, undefined> {
  checkOptionKeys(options, optionKeys, 'createCorpus')
  const { folder, source, tokenizer, texts, features = 'BF16', fileSystem, signal } = options
  if (!['BF16', 'F16', 'recompute'].includes(features)) {
    throw new InvalidArgumentError(`features is ${JSON.stringify(features)}, expected "BF16", "F16" or "recompute".`)
  }
  const promptsPerShard = checkNumber(options.promptsPerShard ?? 128, 'promptsPerShard', { min: 1, isInteger: true })
  const concurrency = checkNumber(options.concurrency ?? 32, 'concurrency', { min: 1, isInteger: true })
  const settings = completeSettings(options, tokenizer.endOfGenerationIds)
  checkIds(texts)
  await using writer = await openCorpusWriter({
    folder,
    target: source.identity,
    features,
    prompts: texts,
    promptsPerShard,
    settings: { ...settings },
    ...(fileSystem && { fileSystem }),
  })
  const maker = { source, tokenizer, settings, keepsFeatures: features !== 'recompute' }
  const done = () => ({ prompts: texts.length, donePrompts: writer.nextPrompts.from })
  yield { type: 'corpus-start', ...done() }
  for await (const event of fillShards({ writer, texts, concurrency, maker, ...(signal && { signal }) })) {
    yield event === 'shard-saved' ? { type: event, shard: writer.manifest.shards.at(-1)!, ...done() } : event
  }
  yield { type: 'corpus-end', manifest: writer.manifest }
}

interface ShardFilling {
  readonly writer: CorpusWriter
  readonly texts: CreateCorpusOptions['texts']
  readonly concurrency: number
  readonly maker: Omit<SequenceMaker, 'signal'>
  readonly signal?: AbortSignal
}

/** What has become of a text. */
interface Outcome {
  readonly place: number
  readonly sequence?: FeaturedSequence | undefined
}

/** Works on several texts at once, a shard ahead at most, and writes shards in order. */
async function* fillShards(filling: ShardFilling): AsyncGenerator<CorpusEvent | 'shard-saved', void, undefined> {
  const { writer, texts, concurrency, maker, signal } = filling
  const stopping = new AbortController()
  const signals = AbortSignal.any([stopping.signal, ...(signal ? [signal] : [])])
  const running = new Map<number, Promise<Outcome>>()
  const outcomes = new Map<number, FeaturedSequence | undefined>()
  const begin = (place: number) => {
    const work = makeSequence({ ...maker, signal: signals }, texts[place]!).then((sequence) => ({ place, sequence }))
    // Of several that fail, one is reported.
    work.catch(() => undefined)
    running.set(place, work)
  }
  let next = writer.nextPrompts.from
  try {
    while (!writer.isComplete) {
      signal?.throwIfAborted()
      const { from, to } = writer.nextPrompts
      const horizon = Math.min(texts.length, to + (to - from))
      while (running.size < concurrency && next < horizon) begin(next++)
      if (running.size > 0) {
        const { place, sequence } = await Promise.race(running.values())
        running.delete(place)
        outcomes.set(place, sequence)
        yield describe(texts[place]!, sequence)
      }
      const places = Array.from({ length: to - from }, (_, i) => from + i)
      if (!places.every((place) => outcomes.has(place))) continue
      await writer.append(places.flatMap((place) => outcomes.get(place) ?? []))
      for (const place of places) outcomes.delete(place)
      yield 'shard-saved'
    }
  } finally {
    // Whoever leaves may dispose of the target next: nothing may be left running on it.
    stopping.abort()
    await Promise.allSettled(running.values())
  }
}

function describe({ id, domain }: { id: string; domain: string }, sequence: FeaturedSequence | undefined): CorpusEvent {
  if (!sequence) return { type: 'prompt-skipped', id }
  const responseTokens = sequence.responseMask.reduce((sum, counts) => sum + counts, 0)
  return { type: 'sequence-end', id, domain, tokens: sequence.tokens.length, responseTokens }
}

/** Ids decide seeds and splits: two texts of one id would share both. */
function checkIds(texts: CreateCorpusOptions['texts']): void {
  const seen = new Set<string>()
  for (const { id } of texts) {
    if (seen.has(id))
      throw new InvalidArgumentError(`Two texts have the id ${JSON.stringify(id)}; ids are unique.`, { id })
    seen.add(id)
  }
}
