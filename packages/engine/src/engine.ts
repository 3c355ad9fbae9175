import {
  DisposedError,
  type GenerationEvent,
  type GenerationResult,
  type GenerationStream,
  type TextGenerator,
  type TreePolicy,
} from '@hass-engine/core'
import { plain } from '@hass-engine/draft-tree'
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
    this.#scheduler = parts.scheduler
    this.#disposables = parts.disposables
  }

  /**
   * Generates a whole text.
   *
   * @throws InvalidArgumentError for options that are unknown or out of range; PromptTooLongError
   * `HASS_ERR_CONTEXT_LENGTH`; DisposedError; the reason of `signal`; what the sampler throws
   */
  async generateText(options: EngineGenerateOptions): Promise<GenerationResult> {
    return this.streamText(options).result
  }

  /** Generates a text and shows it as it grows. Errors, those of the options too, come out of stream and result. */
  streamText(options: EngineGenerateOptions): GenerationStream {
    const started = this.#start(options)
    started.catch(() => {})
    const result = started.then((generation) => generation.result)
    result.catch(() => {})
    const iterator = eventsOf(started)
    return {
      result,
      textStream: textOf(iterator),
      [Symbol.asyncIterator]: () => iterator,
      [Symbol.asyncDispose]: async () => {
        const generation = await started.catch(() => undefined)
        await generation?.events.return()
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
    options.signal?.throwIfAborted()
    const { tokenizer, target } = this
    const request = await prepareRequest(options, {
      tokenizer,
      vocabSize: target.vocabSize,
      maxContext: target.maxContext,
    })
    options.signal?.throwIfAborted()
    this.#check()
    const output = new TextOutput(tokenizer.createStreamDecoder({ skipSpecialTokens: true }), request.stops)
    const wake = () => this.#scheduler.wake()
    const generation = new RunningGeneration(request, this.#policyOf(request), output, wake)
    this.#scheduler.submit(generation)
    return generation
  }

  #policyOf({ speculate, policy = this.policy }: PreparedRequest): TreePolicy {
    return speculate ? policy : this.#plain
  }

  #check(): void {
    if (this.#disposal) throw new DisposedError('The engine')
  }
}

async function* eventsOf(started: Promise<RunningGeneration>): AsyncGenerator<GenerationEvent, void, undefined> {
  yield* (await started).events
}

async function* textOf(events: AsyncIterable<GenerationEvent>): AsyncGenerator<string, void, undefined> {
  for await (const event of events) if (event.type === 'text-delta' && event.text !== '') yield event.text
}
