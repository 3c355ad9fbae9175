import {
  type CostTables,
  DisposedError,
  type GenerationEvent,
  type GenerationResult,
  type GenerationStream,
  InvalidArgumentError,
  type TextGenerator,
  type TreePolicy,
} from '@hass-engine/core'
import { plain } from '@hass-engine/draft-tree'
import type { Device } from '@hass-engine/kernels'
import type { DeviceDraftHead, DeviceTargetModel } from '@hass-engine/models'
import type { Tokenizer } from '@hass-engine/tokenizer'
import { type EngineGenerateOptions, type PreparedRequest, prepareRequest } from './request.js'
import { RunningGeneration } from './running-generation.js'
import type { Scheduler } from './scheduler.js'
import { TextOutput } from './text-output.js'

/** What an engine is made of; `loadEngine` puts it together. */
export interface EngineParts {
  readonly tokenizer: Tokenizer
  readonly target: DeviceTargetModel
  readonly draft: DeviceDraftHead | undefined
  /** Trees of requests that bring no policy. */
  readonly policy: TreePolicy
  readonly costs: CostTables | undefined
  /** Longest text, in tokens. */
  readonly maxContext: number
  readonly scheduler: Scheduler
  /** What is freed with the engine, in this order. */
  readonly disposables: readonly { dispose(): void }[]
}

/** A model that answers, any number of requests at once. Made by `loadEngine`. */
export class Engine implements TextGenerator, AsyncDisposable {
  readonly tokenizer: Tokenizer
  readonly target: DeviceTargetModel
  readonly draft: DeviceDraftHead | undefined
  readonly policy: TreePolicy
  /** What passes cost here, for policies that weigh it. Absent where nothing is drafted and none were given. */
  readonly costs: CostTables | undefined
  /** Longest text, in tokens, prompt and answer together. */
  readonly maxContext: number
  readonly #scheduler: Scheduler
  readonly #disposables: EngineParts['disposables']
  readonly #plain = plain()
  #disposal: Promise<void> | undefined

  /** @internal Use `loadEngine`. */
  constructor(parts: EngineParts) {
    this.tokenizer = parts.tokenizer
    this.target = parts.target
    this.draft = parts.draft
    this.policy = parts.policy
    this.costs = parts.costs
    this.maxContext = parts.maxContext
    this.#scheduler = parts.scheduler
    this.#disposables = parts.disposables
  }

  /** What it runs on: kind, instruction set and threads; `fallbackReason` says why the slow reference computes. */
  get device(): Device {
    return this.target.device
  }

  /**
   * Generates a whole text.
   *
   * @throws InvalidArgumentError for options that are unknown or out of range; PromptTooLongError
   * `HASS_ERR_CONTEXT_LENGTH`; DisposedError; the reason of `signal`; what the sampler throws
   */
  async generateText(options: EngineGenerateOptions): Promise<GenerationResult> {
    const generation = await this.#start(options)
    generation.events.discard()
    return generation.result
  }

  /** Generates a text and shows it as it grows. Errors, those of the options too, come out of stream and result. */
  streamText(options: EngineGenerateOptions): GenerationStream {
    const started = this.#start(options)
    const result = started.then((generation) => generation.result)
    // Whoever reads the events need not read the result too.
    result.catch(() => {})
    const leave = async (): Promise<IteratorReturnResult<undefined>> => {
      const generation = await started.catch(() => undefined)
      await generation?.events.return()
      return { done: true, value: undefined }
    }
    const events: AsyncIterableIterator<GenerationEvent, undefined> = {
      next: async () => (await started).events.next(),
      return: leave,
      [Symbol.asyncIterator]: () => events,
    }
    return {
      result,
      textStream: textOf(events),
      [Symbol.asyncIterator]: () => events,
      [Symbol.asyncDispose]: async () => {
        await leave()
        await result.catch(() => {})
      },
    }
  }

  /** Ends all generations, waits for the pass that is running and frees everything; a second call waits for the first. */
  dispose(): Promise<void> {
    this.#disposal ??= this.#scheduler.close(new DisposedError('The engine')).then(() => {
      for (const disposable of this.#disposables) disposable.dispose()
    })
    return this.#disposal
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose()
  }

  async #start(options: EngineGenerateOptions): Promise<RunningGeneration> {
    this.#check()
    const { tokenizer, target, maxContext } = this
    const request = await prepareRequest(options, { tokenizer, vocabSize: target.vocabSize, maxContext })
    const policy = this.#policyOf(request)
    request.signal?.throwIfAborted()
    this.#check()
    const output = new TextOutput(tokenizer.createStreamDecoder({ skipSpecialTokens: true }), request.stops)
    const generation = new RunningGeneration(request, policy, output, () => this.#scheduler.wake())
    this.#scheduler.submit(generation)
    return generation
  }

  #policyOf({ speculate, policy = this.policy }: PreparedRequest): TreePolicy {
    if (!speculate) return this.#plain
    if (policy.width === 0 || this.draft) return policy
    throw new InvalidArgumentError(
      `The policy ${policy.name} needs a draft head: load the engine with one, or take a policy of width 0.`,
      { policy: policy.name },
    )
  }

  #check(): void {
    if (this.#disposal) throw new DisposedError('The engine')
  }
}

async function* textOf(events: AsyncIterable<GenerationEvent>): AsyncGenerator<string, void, undefined> {
  for await (const event of events) if (event.type === 'text-delta' && event.text !== '') yield event.text
}
