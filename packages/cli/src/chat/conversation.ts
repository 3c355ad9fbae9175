import type { ChatMessage, DraftTree, GenerationResult, Token, Verdict } from '@hass-engine/core'
import type { Engine, EngineGenerateOptions } from '@hass-engine/engine'

/** What a person may change between two answers. */
export interface ChatSettings {
  system: string | undefined
  temperature: number
  /** Absent: a fresh one for each answer. */
  seed: bigint | undefined
  speculate: boolean
}

export interface VerifiedTree {
  readonly tree: DraftTree
  readonly verdict: Verdict
}

/** An answer that ended by itself has a result; one that was stopped has tokens only. */
export interface Answer {
  readonly result?: GenerationResult
  readonly tokens: number
}

/** What a conversation needs of an engine. */
export interface ChatEngine extends Pick<Engine, 'streamText'> {
  readonly policy: Pick<Engine['policy'], 'name'>
  /** Absent where another machine computes. */
  readonly device?: Pick<Engine['device'], 'kind' | 'facts'>
  readonly tokenizer: Pick<Engine['tokenizer'], 'decode'>
}

/** Questions and answers so far, and how the next answer is generated. */
export class Conversation {
  readonly engine: ChatEngine
  readonly settings: ChatSettings
  readonly #options: EngineGenerateOptions
  #turns: ChatMessage[] = []
  #lastTree: VerifiedTree | undefined

  /** @param options of every answer, what the settings do not say */
  constructor(engine: ChatEngine, options: EngineGenerateOptions, system: string | undefined) {
    const { temperature = 0, seed, speculate = true, ...others } = options
    this.engine = engine
    this.settings = { system, temperature, seed: seed === undefined ? undefined : BigInt(seed), speculate }
    this.#options = others
  }

  get messages(): readonly ChatMessage[] {
    const { system } = this.settings
    return [...(system === undefined ? [] : [{ role: 'system', content: system }]), ...this.#turns]
  }

  /** The last tree that proposed anything. */
  get lastTree(): VerifiedTree | undefined {
    return this.#lastTree
  }

  /** True if the engine has something to draft with. */
  get canSpeculate(): boolean {
    return this.engine.policy.name !== 'plain'
  }

  /** Text of one token, as the tree shows it. */
  tokenText(token: Token): string {
    return this.engine.tokenizer.decode([token])
  }

  /** Forgets all turns; what the system says stays. */
  reset(): void {
    this.#turns = []
    this.#lastTree = undefined
  }

  /**
   * Answers a question. What was said before `signal` stopped it stays part of the conversation; a question whose
   * answer failed does not.
   */
  async ask(question: string, signal: AbortSignal, onText: (text: string) => Promise<void>): Promise<Answer> {
    const { temperature, seed, speculate } = this.settings
    const asked: ChatMessage = { role: 'user', content: question }
    await using stream = this.engine.streamText({
      ...this.#options,
      messages: [...this.messages, asked],
      temperature,
      speculate,
      signal,
      ...(seed !== undefined && { seed }),
    })
    let said = ''
    let tokens = 0
    try {
      for await (const event of stream) {
        if (event.type === 'text-delta') {
          said += event.text
          tokens += event.tokens.length
          await onText(event.text)
        }
        if (event.type === 'draft-verified' && event.tree.tokens.length > 1) this.#lastTree = event
      }
      const result = await stream.result
      this.#turns.push(asked, { role: 'assistant', content: result.text })
      return { result, tokens: result.usage.completionTokens }
    } catch (error) {
      if (!signal.aborted) throw error
      if (said !== '') this.#turns.push(asked, { role: 'assistant', content: said })
      return { tokens }
    }
  }
}
