import type { FinishReason, Token } from '@hass-engine/core'

/** One answer, measured. Times are milliseconds. */
export interface TurnRecord {
  readonly promptTokens: number
  /** Of the prompt, not computed but kept from before. */
  readonly cachedTokens: number
  readonly completionTokens: number
  readonly finishReason: FinishReason
  /** What was answered; text where the generator does not tell tokens. */
  readonly output: readonly Token[] | string
  readonly timings: {
    readonly prefillMs?: number
    readonly firstTokenMs?: number
    /** After the first token. */
    readonly decodeMs: number
    readonly totalMs: number
  }
  /** Tokens that `decodeMs` brought: the first one came before, a stop token counts. */
  readonly decodedTokens: number
  /** Absent where the generator does not tell. */
  readonly speculation?: {
    readonly drafted: number
    readonly accepted: number
    readonly emitted: number
    readonly targetCalls: number
    readonly depths: readonly { readonly drafted: number; readonly accepted: number }[]
    readonly draftMs?: number
    readonly verifyMs?: number
    readonly otherMs?: number
  }
}

/** What one subject made of one prompt. */
export interface RunRecord {
  readonly subject: string
  /** As many as the prompt has, unless `failure` says why there are fewer. */
  readonly turns: readonly TurnRecord[]
  readonly failure?: { readonly turn: number; readonly code?: string; readonly message: string }
}

/** All subjects on one prompt at one temperature, one after another: what is compared stands side by side. */
export interface PromptRecord {
  readonly dataSet: string
  readonly temperature: number
  readonly prompt: string
  readonly seed: number
  /** In the order in which they ran. */
  readonly runs: readonly RunRecord[]
}

/** What must be the same for results to belong together. */
export interface BenchmarkSettings {
  readonly version: 1
  readonly baseline: string
  readonly subjects: readonly {
    readonly name: string
    readonly temperatures?: readonly number[]
    readonly settings: Readonly<Record<string, unknown>>
  }[]
  readonly dataSets: readonly {
    readonly name: string
    readonly title: string
    readonly sha256: string
    /** How many were asked, from the first. */
    readonly prompts: number
  }[]
  readonly temperatures: readonly number[]
  readonly maxTokens: number
  readonly seed: number
  readonly system?: string
}

/** Where and when a part of the results was measured. */
export interface BenchmarkEnvironment {
  readonly startedAt: string
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly platform: string
  readonly node: string
  /** Before the first run: processes that wanted a core, over one, five and fifteen minutes. */
  readonly loadAverage: readonly number[]
  /** What the caller adds: threads, instruction set, versions, model. */
  readonly [fact: string]: unknown
}

export interface BenchmarkResults {
  readonly settings: BenchmarkSettings
  /** One for each time that the benchmark was begun or gone on with. */
  readonly environments: readonly BenchmarkEnvironment[]
  readonly prompts: readonly PromptRecord[]
}
