import { type ChatMessage, checkNumber, checkOptionKeys, HassError, InvalidArgumentError } from '@hass-engine/core'
import type { BenchmarkPrompt, DataSet } from './data-set.js'
import { readEnvironment } from './environment.js'
import type { BenchmarkEnvironment, BenchmarkResults, BenchmarkSettings, PromptRecord, RunRecord } from './records.js'
import { ResultsFile } from './results-file.js'
import { type BenchmarkSubject, measureTurn } from './subject.js'

export interface BenchmarkOptions {
  /** In the order of the tables. */
  readonly subjects: readonly BenchmarkSubject[]
  /** The subject that speedups are over and outputs are compared with. Defaults to the first. */
  readonly baseline?: string
  readonly dataSets: readonly DataSet[]
  /** Defaults to `[0]`. */
  readonly temperatures?: readonly number[]
  /** Longest answer, in tokens. Defaults to 128. */
  readonly maxTokens?: number
  /** Prompts of each data set, from the first. Defaults to all. */
  readonly limit?: number
  /** Prompt i of a data set is answered with `seed + i`, by every subject. Defaults to 0. */
  readonly seed?: number
  /** What the model is told before the first turn. Defaults to nothing. */
  readonly system?: string
  /** A file of results to begin or to go on with. Defaults to none. */
  readonly results?: string
  /** Whether each subject first answers one question that is not counted. Defaults to true. */
  readonly warmUp?: boolean
  /** What the record of the machine shall say besides: threads, instruction set, versions, model. */
  readonly facts?: Readonly<Record<string, unknown>>
  readonly onProgress?: (progress: BenchmarkProgress) => void
  readonly signal?: AbortSignal
}

export interface BenchmarkProgress {
  /** Prompts that are done, those of earlier times included. */
  readonly done: number
  readonly total: number
  readonly dataSet: string
  readonly temperature: number
  /** By the pace so far. Undefined before the first prompt. */
  readonly remainingMs: number | undefined
}

const optionKeys = [
  'subjects',
  'baseline',
  'dataSets',
  'temperatures',
  'maxTokens',
  'limit',
  'seed',
  'system',
  'results',
  'warmUp',
  'facts',
  'onProgress',
  'signal',
]

/**
 * Lets every subject answer every prompt at every temperature.
 *
 * Prompt by prompt the subjects run one after another, in turns in this order and in the opposite one, so that a machine
 * that gets slower or busy does so for all of them. What a subject throws is recorded and ends that prompt for it alone.
 *
 * @throws InvalidArgumentError; the errors of `ResultsFile.open`; the reason of `signal`
 */
export async function runBenchmark(options: BenchmarkOptions): Promise<BenchmarkResults> {
  checkOptionKeys(options, optionKeys, 'runBenchmark')
  const settings = settingsOf(options)
  const file = options.results === undefined ? undefined : await ResultsFile.open(options.results, settings)
  try {
    return await new Benchmark(options, settings, file).run()
  } finally {
    await file?.close()
  }
}

class Benchmark {
  readonly #options: BenchmarkOptions
  readonly #settings: BenchmarkSettings
  readonly #file: ResultsFile | undefined
  readonly #prompts: PromptRecord[]
  readonly #requestOptions = new Map<string, object>()

  constructor(options: BenchmarkOptions, settings: BenchmarkSettings, file: ResultsFile | undefined) {
    this.#options = options
    this.#settings = settings
    this.#file = file
    this.#prompts = [...(file?.prompts ?? [])]
  }

  async run(): Promise<BenchmarkResults> {
    const { signal, facts, onProgress } = this.#options
    signal?.throwIfAborted()
    const isDone = new Set(this.#prompts.map(keyOf))
    const places = this.#places()
    const open = places.filter((place) => !isDone.has(keyOf(place)))
    const environments: BenchmarkEnvironment[] = [...(this.#file?.environments ?? [])]
    if (open.length > 0) {
      const environment = readEnvironment(facts)
      environments.push(environment)
      await this.#file?.appendEnvironment(environment)
      if (this.#options.warmUp ?? true) await this.#warmUp(open[0]!)
    }
    const startedAt = performance.now()
    const total = places.length
    for (const [index, place] of open.entries()) {
      const { dataSet, temperature } = place
      const remainingMs = index === 0 ? undefined : ((performance.now() - startedAt) / index) * (open.length - index)
      onProgress?.({ done: total - open.length + index, total, dataSet, temperature, remainingMs })
      const record = await this.#runPrompt(place)
      await this.#file?.appendPrompt(record)
      this.#prompts.push(record)
    }
    const last = places.at(-1)!
    onProgress?.({ ...last, done: total, total, remainingMs: 0 })
    return { settings: this.#settings, environments, prompts: this.#prompts }
  }

  #places(): Place[] {
    const { dataSets } = this.#options
    return this.#settings.temperatures.flatMap((temperature) =>
      dataSets.flatMap(({ name, prompts }, set) =>
        prompts.slice(0, this.#settings.dataSets[set]!.prompts).map((question, index) => ({
          dataSet: name,
          temperature,
          prompt: question.id,
          question,
          index,
        })),
      ),
    )
  }

  /** First answers are slower: code is compiled and pages are touched. */
  async #warmUp({ question, temperature }: Place): Promise<void> {
    for (const subject of this.#options.subjects) {
      const options = subject.options?.({ dataSet: '', temperature: subject.temperatures?.[0] ?? temperature }) ?? {}
      const request = { ...this.#request(temperature, 0), maxTokens: Math.min(16, this.#settings.maxTokens) }
      // What fails here will fail there, and be recorded.
      await measureTurn(subject, { ...request, messages: this.#opening(question.turns[0]!) }, options).catch(() => {})
      this.#options.signal?.throwIfAborted()
    }
  }

  async #runPrompt({ dataSet, temperature, question, index }: Place): Promise<PromptRecord> {
    const subjects = this.#options.subjects.filter(
      ({ temperatures }) => temperatures === undefined || temperatures.includes(temperature),
    )
    if (index % 2 === 1) subjects.reverse()
    const seed = this.#settings.seed + index
    const runs: RunRecord[] = []
    for (const subject of subjects) {
      runs.push(await this.#runSubject(subject, question, { dataSet, temperature, seed }))
      this.#options.signal?.throwIfAborted()
    }
    return { dataSet, temperature, prompt: question.id, seed, runs }
  }

  async #runSubject(
    subject: BenchmarkSubject,
    { turns }: BenchmarkPrompt,
    { dataSet, temperature, seed }: { dataSet: string; temperature: number; seed: number },
  ): Promise<RunRecord> {
    const records: RunRecord['turns'][number][] = []
    try {
      const options = this.#optionsOf(subject, dataSet, temperature)
      let messages: ChatMessage[] = []
      for (const turn of turns) {
        messages = messages.length === 0 ? this.#opening(turn) : [...messages, { role: 'user', content: turn }]
        const request = { ...this.#request(temperature, seed), messages }
        const { record, text } = await measureTurn(subject, request, options)
        records.push(record)
        messages = [...messages, { role: 'assistant', content: text }]
      }
      return { subject: subject.name, turns: records }
    } catch (error) {
      this.#options.signal?.throwIfAborted()
      return { subject: subject.name, turns: records, failure: { turn: records.length, ...describe(error) } }
    }
  }

  #optionsOf(subject: BenchmarkSubject, dataSet: string, temperature: number): object {
    const key = JSON.stringify([subject.name, dataSet, temperature])
    const known = this.#requestOptions.get(key) ?? subject.options?.({ dataSet, temperature }) ?? {}
    this.#requestOptions.set(key, known)
    return known
  }

  #request(temperature: number, seed: number) {
    const { signal } = this.#options
    return { maxTokens: this.#settings.maxTokens, temperature, seed, ...(signal && { signal }) }
  }

  #opening(turn: string): ChatMessage[] {
    const { system } = this.#settings
    const user = { role: 'user', content: turn }
    return system === undefined ? [user] : [{ role: 'system', content: system }, user]
  }
}

interface Place {
  readonly dataSet: string
  readonly temperature: number
  readonly prompt: string
  readonly question: BenchmarkPrompt
  readonly index: number
}

function keyOf({ dataSet, temperature, prompt }: Pick<PromptRecord, 'dataSet' | 'temperature' | 'prompt'>): string {
  return JSON.stringify([dataSet, temperature, prompt])
}

function settingsOf(options: BenchmarkOptions): BenchmarkSettings {
  const { subjects, dataSets, temperatures = [0], system } = options
  const names = subjects.map(({ name }) => name)
  const baseline = options.baseline ?? names[0]
  refuseEmptyOrTwice(names, 'subject')
  refuseEmptyOrTwice(
    dataSets.map(({ name }) => name),
    'data set',
  )
  refuseEmptyOrTwice(temperatures, 'temperature')
  for (const temperature of temperatures) checkNumber(temperature, 'temperatures', { min: 0, below: Infinity })
  if (!names.includes(baseline!)) {
    throw new InvalidArgumentError(`The baseline ${baseline} is no subject; they are ${names.join(', ')}.`, {
      baseline,
    })
  }
  const limit = checkNumber(options.limit ?? Infinity, 'limit', { min: 1, isInteger: options.limit !== undefined })
  return {
    version: 1,
    baseline: baseline!,
    subjects: subjects.map(({ name, temperatures: own, settings = {} }) => {
      return { name, ...(own && { temperatures: own }), settings }
    }),
    dataSets: dataSets.map(({ name, title, sha256, prompts }) => {
      return { name, title, sha256, prompts: Math.min(limit, prompts.length) }
    }),
    temperatures,
    maxTokens: checkNumber(options.maxTokens ?? 128, 'maxTokens', { min: 1, isInteger: true }),
    seed: checkNumber(options.seed ?? 0, 'seed', { min: 0, max: 2 ** 40, isInteger: true }),
    ...(system !== undefined && { system }),
  }
}

function refuseEmptyOrTwice(values: readonly (string | number)[], what: string): void {
  if (values.length === 0) throw new InvalidArgumentError(`A benchmark needs at least one ${what}.`)
  const twice = values.find((value, i) => values.indexOf(value) !== i)
  if (twice !== undefined) throw new InvalidArgumentError(`The ${what} ${twice} is given twice.`, { twice })
}

function describe(error: unknown): { code?: string; message: string } {
  const message = error instanceof Error ? error.message : String(error)
  return HassError.isInstance(error) ? { code: error.code, message } : { message }
}
