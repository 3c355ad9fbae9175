import { isDeepStrictEqual } from 'node:util'
import type { CostTables, GenerationResult, Token, TreePolicy } from '@hass-engine/core'
import { createRandom } from '@hass-engine/core/test'
import { chain, costAware, dynamicTree, mergePolicies, ngram, plain, staticTree } from '@hass-engine/draft-tree'
import type { EngineGenerateOptions } from '@hass-engine/engine'
import { createEngine } from '../../packages/engine/src/create-engine.js'
import type { Engine } from '../../packages/engine/src/engine.js'
import {
  endIdsOf,
  goldenHeads,
  type HeadKind,
  TinyModels,
  type TinyPlace,
  targetOf,
  vocabSizeOf,
} from '../../packages/engine/src/testing/tiny-models.js'
import { createTinyTokenizer } from '../../packages/engine/src/testing/tiny-tokenizer.js'
import type { Combination } from './combinations.js'
import { LogitsRecorder, type Stage, tellStages } from './watched-models.js'

type Models = Parameters<typeof tellStages>[0]

/** Costs as a CPU has them: a few rows are nearly free. */
const costs: CostTables = {
  verify: { rows: [1, 4, 16, 64], ms: [1, 1.1, 1.6, 4] },
  draft: { rows: [1, 8, 64], ms: [0.05, 0.08, 0.3] },
}

const policies = {
  plain,
  chain: () => chain({ depth: 3 }),
  static: () => staticTree({ paths: [[0], [1], [2], [0, 0], [0, 1], [1, 0], [0, 0, 0]] }),
  dynamic: () => dynamicTree({ topK: 4, depth: 3, maxNodes: 15 }),
  ngram: () => ngram({ minMatch: 1 }),
  costAware: () => costAware({ topK: 4, depth: 3, maxNodes: 20 }),
  merged: () => mergePolicies([ngram({ minMatch: 1 }), dynamicTree({ topK: 3, depth: 2, maxNodes: 9 })]),
} satisfies Record<string, () => TreePolicy>

const cuts = {
  none: {},
  topP: { topP: 0.9 },
  topK: { topK: 20 },
  minP: { minP: 0.02 },
  all: { topK: 60, topP: 0.95, minP: 0.001, typicalP: 0.9 },
} satisfies Record<string, EngineGenerateOptions>

const penalties = {
  none: {},
  repetition: { repetitionPenalty: 1.4 },
  /** Tokens come back, so that whoever miscounts them says something else. */
  echo: { repetitionPenalty: 0.6 },
  counts: { presencePenalty: 0.6, frequencyPenalty: 0.3 },
  bias: { logitBias: { 5: 3, 6: -4, 7: 2.5 }, bannedTokens: [8, 9] },
} satisfies Record<string, EngineGenerateOptions>

const devices = {
  reference: { kind: 'reference', threads: 1 },
  cpu1: { kind: 'cpu', threads: 1 },
  cpu2: { kind: 'cpu', threads: 2 },
  cpu3: { kind: 'cpu', threads: 3 },
  cpu4: { kind: 'cpu', threads: 4 },
} satisfies Record<string, Pick<TinyPlace, 'kind' | 'threads'>>

/** All that must not change a text, and all by which texts are chosen. */
export const factors = {
  head: goldenHeads,
  headKind: ['golden', 'random', 'zero', 'nan'] satisfies HeadKind[],
  policy: Object.keys(policies) as (keyof typeof policies)[],
  temperature: [0, 0.3, 0.7, 1, 1.5],
  cut: Object.keys(cuts) as (keyof typeof cuts)[],
  penalty: Object.keys(penalties) as (keyof typeof penalties)[],
  isCoupled: [true, false],
  seed: [1, 2 ** 31 + 5, 0xfedcba9876543210n],
  device: Object.keys(devices) as (keyof typeof devices)[],
  prompt: ['short', 'medium', 'long', 'repetitive'],
  prefillChunk: [1, 7, 64, 512],
  company: ['alone', 'eight'],
  keptPrefixes: [0, 4],
  cache: ['roomy', 'tight'],
  abort: ['none', 'queued', 'prefill', 'draft', 'verify', 'last'],
  ending: ['length', 'stopToken', 'stopText'],
} as const

export type LawCase = Combination<typeof factors>

/** What of a request must not depend on anything but the request. */
export interface Trace {
  readonly tokens: readonly Token[]
  readonly text: string
  readonly finishReason: string
  readonly logProbs: GenerationResult['logProbs']
  /** Bits of the logits that each token was chosen from. */
  readonly bits: readonly (string | undefined)[]
}

/** Breaks an engine on purpose. */
export interface Mutant {
  readonly models?: (models: Models) => Models
  readonly request?: (options: EngineGenerateOptions) => EngineGenerateOptions
  readonly generate?: (engine: Engine, options: EngineGenerateOptions) => Promise<GenerationResult>
}

const maxTokens = 16
const maxContext = 160
/** Rows for the longest text here and little more: of several that grow, some must make room. */
const tightRows = 87

export class Law {
  readonly #models = new TinyModels()
  readonly #baselines = new Map<string, Promise<Trace>>()
  /** Acceptance lengths of the requests that were compared, by case. */
  readonly acceptanceLengths: number[] = []
  /** How often what the law is about has happened. */
  readonly seen = { shared: 0, restarted: 0, aborted: new Set<string>() }

  /** Runs a case beside its plain decoding; returns what differs, nothing if the law holds. */
  async check(lawCase: LawCase, mutant: Mutant = {}): Promise<string[]> {
    try {
      return await this.#compare(lawCase, mutant)
    } catch (error) {
      return [`failed: ${error}`]
    }
  }

  dispose(): Promise<void> {
    return this.#models.dispose()
  }

  async #compare(lawCase: LawCase, mutant: Mutant): Promise<string[]> {
    const place = placeOf(lawCase)
    const whole = await this.#baseline(place, requestOf(lawCase))
    const options = endedBy(requestOf(lawCase), lawCase, whole)
    const expected = await this.#baseline(place, options)
    const target = await this.#models.target(place)
    const draft = await this.#models.draft(place, lawCase.headKind)
    const recorder = new LogitsRecorder()
    const victim = new AbortController()
    const random = createRandom(Number(BigInt.asUintN(31, BigInt(lawCase.seed))) + lawCase.prefillChunk)
    const passesToLive = 1 + Math.floor(random() * 4)
    let passes = 0
    let promptsRead = 0
    const onStage = (stage: Stage, hasReadPrompt: boolean) => {
      if (hasReadPrompt) promptsRead += 1
      if (stage === lawCase.abort && ++passes === passesToLive) victim.abort()
    }
    const models = tellStages(mutant.models?.({ target, draft }) ?? { target, draft }, onStage)
    const engine = assemble({ ...lawCase, models: { ...models, target: recorder.watch(models.target) } })
    const generate = mutant.generate ?? ((engine, options) => engine.generateText(options))
    const mutate = mutant.request ?? ((options) => options)
    const others: Promise<string[]>[] = []
    const join = (request: EngineGenerateOptions) => {
      const joined = this.#companion(place, request, () => engine.generateText(mutate(request)))
      joined.catch(() => {})
      others.push(joined)
    }
    try {
      // A text that begins like the request's, for prefixes to be taken from.
      const prompt = promptOf(lawCase, target.vocabSize)
      const common = random() < 0.5 ? prompt.length : Math.ceil(prompt.length / 2)
      await engine.generateText(mutate({ ...options, maxTokens: 3, tokens: [...prompt.slice(0, common), 3, 1] }))
      if (lawCase.abort !== 'none') others.push(this.#abortedRequest(engine, options, lawCase.abort, victim))
      const companions = lawCase.company === 'eight' ? companionRequests(target.vocabSize) : []
      for (const request of companions.splice(0, 1 + Math.floor(random() * 5))) join(request)
      const subject = generate(engine, mutate(options))
      subject.catch(() => {})
      for (const request of companions) {
        for (let wait = Math.floor(random() * 6); wait > 0; wait--) await new Promise(setImmediate)
        join(request)
      }
      const result = await subject
      this.acceptanceLengths.push(result.speculation?.acceptanceLength ?? 0)
      if (result.usage.cachedTokens! > 0) this.seen.shared += 1
      const found = traceOf(result, options, recorder)
      const differs = [...differences(found, expected), ...(await Promise.all(others)).flat()]
      const requests = 1 + 1 + (lawCase.abort === 'none' ? 0 : 1) + (lawCase.company === 'eight' ? 8 : 0)
      if (promptsRead > requests) this.seen.restarted += 1
      await engine.dispose()
      return [...differs, ...lostRows('target', target), ...lostRows('head', draft)]
    } finally {
      await Promise.allSettled(others)
      await engine.dispose()
    }
  }

  async #companion(
    place: TinyPlace,
    request: EngineGenerateOptions,
    run: () => Promise<GenerationResult>,
  ): Promise<string[]> {
    const expected = await this.#baseline(place, request)
    const { tokens } = await run()
    return isDeepStrictEqual([...tokens], expected.tokens) ? [] : [`a companion said ${tokens}, not ${expected.tokens}`]
  }

  /** A request that nobody wants any more at some stage. */
  async #abortedRequest(
    engine: Engine,
    { stop: _, stopTokens: __, ...options }: EngineGenerateOptions,
    stage: LawCase['abort'],
    controller: AbortController,
  ): Promise<string[]> {
    const request = { ...options, tokens: Array.from(options.tokens!).reverse(), signal: controller.signal }
    const stream = engine.streamText(request)
    if (stage === 'queued') controller.abort()
    try {
      for await (const event of stream) if (event.type === 'finish' && stage === 'last') controller.abort()
      await stream.result
      if (stage === 'last') this.seen.aborted.add(stage)
      return []
    } catch (error) {
      if (error !== controller.signal.reason) return [`an aborted request failed with ${error}`]
      this.seen.aborted.add(stage)
      return []
    }
  }

  /** Plain decoding, alone, one token a pass, nothing kept; the same for every number of threads. */
  #baseline(place: TinyPlace, options: EngineGenerateOptions): Promise<Trace> {
    const { policy: _, isCoupled: __, ...request } = options
    const key = JSON.stringify([place.kind, targetOf(place.head), request], (_, value) =>
      typeof value === 'bigint' ? `${value}n` : value,
    )
    if (!this.#baselines.has(key)) this.#baselines.set(key, this.#decodePlainly(place, request))
    return this.#baselines.get(key)!
  }

  async #decodePlainly(place: TinyPlace, options: EngineGenerateOptions): Promise<Trace> {
    const target = await this.#models.target({ ...place, threads: 1, cacheTokens: 1024 })
    const recorder = new LogitsRecorder()
    const engine = assemble({
      head: place.head,
      prefillChunk: 64,
      keptPrefixes: 0,
      models: { target: recorder.watch(target), draft: undefined },
    })
    const result = await engine.generateText({ ...options, speculate: false })
    await engine.dispose()
    return traceOf(result, options, recorder)
  }
}

function lostRows(
  name: string,
  { cache: { free, capacity } }: Models['target'] | NonNullable<Models['draft']>,
): string[] {
  return free === capacity ? [] : [`the ${name} has ${free} of ${capacity} rows left`]
}

function assemble(
  options: Pick<LawCase, 'head' | 'prefillChunk' | 'keptPrefixes'> & { readonly models: Models },
): Engine {
  const { head, models, prefillChunk, keptPrefixes } = options
  const tokenizer = createTinyTokenizer(models.target.vocabSize, endIdsOf(targetOf(head)))
  return createEngine({
    ...models,
    tokenizer,
    policy: plain(),
    costs,
    maxContext,
    maxSequences: 8,
    prefillChunk,
    keptPrefixes,
    disposables: [],
  })
}

function placeOf({ device, head, cache }: LawCase): TinyPlace {
  return { ...devices[device], head, cacheTokens: cache === 'tight' ? tightRows : 1024 }
}

function promptOf({ prompt }: Pick<LawCase, 'prompt'>, vocabSize: number): Token[] {
  const random = createRandom(prompt.length)
  const length = { short: 1, medium: 11, long: 70, repetitive: 24 }[prompt]
  const invented = Array.from({ length }, () => Math.floor(random() * vocabSize))
  return prompt === 'repetitive' ? invented.map((_, i) => invented[i % 5]!) : invented
}

function requestOf(lawCase: LawCase): EngineGenerateOptions {
  const { policy, temperature, cut, penalty, isCoupled, seed, head } = lawCase
  const vocabSize = vocabSizeOf(targetOf(head))
  return {
    tokens: promptOf(lawCase, vocabSize),
    maxTokens,
    temperature,
    seed,
    isCoupled,
    topLogProbs: 3,
    policy: policies[policy](),
    ...cuts[cut],
    ...penalties[penalty],
  }
}

/** A request that ends in the middle of what it would say. */
function endedBy(options: EngineGenerateOptions, { ending }: LawCase, { tokens, text }: Trace): EngineGenerateOptions {
  const middle = Math.floor(tokens.length / 2)
  if (ending === 'stopToken' && tokens.length > 0) return { ...options, stopTokens: [tokens[middle]!] }
  const stop = text.slice(Math.floor(text.length / 2)).slice(0, 3)
  return ending === 'stopText' && stop !== '' ? { ...options, stop } : options
}

/** Requests of all kinds, of which some begin alike. Plain ones are given little room and grow long. */
function companionRequests(vocabSize: number): EngineGenerateOptions[] {
  const random = createRandom(8)
  const beginning = Array.from({ length: 20 }, () => Math.floor(random() * vocabSize))
  return [...Object.values(policies), plain].map((create, i) => ({
    tokens: beginning.slice(0, 4 + i).concat(i),
    maxTokens: create === plain ? 26 : 3 + i,
    temperature: [0, 0.8, 1.2][i % 3]!,
    seed: i,
    policy: create(),
  }))
}

function traceOf(result: GenerationResult, { tokens }: EngineGenerateOptions, recorder: LogitsRecorder): Trace {
  const prompt = Array.from(tokens!)
  const emitted = [...result.tokens]
  return {
    tokens: emitted,
    text: result.text,
    finishReason: result.finishReason,
    logProbs: result.logProbs,
    bits: emitted.map((_, i) => recorder.after([...prompt, ...emitted.slice(0, i)])),
  }
}

function differences(found: Trace, expected: Trace): string[] {
  if (expected.bits.includes(undefined)) return ['plain decoding has chosen from rows that nobody saw']
  return (Object.keys(expected) as (keyof Trace)[])
    .filter((name) => !isDeepStrictEqual(found[name], expected[name]))
    .map((name) => `${name}: ${JSON.stringify(found[name])}, plainly ${JSON.stringify(expected[name])}`.slice(0, 400))
}
