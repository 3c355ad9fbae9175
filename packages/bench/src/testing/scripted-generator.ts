import type {
  GenerateOptions,
  GenerationEvent,
  GenerationResult,
  GenerationStream,
  TextGenerator,
} from '@hass-engine/core'

export interface ScriptedAnswer {
  /** Answer of a conversation. Defaults to one token for each of its characters. */
  readonly tokens?: (options: GenerateOptions) => readonly number[]
  /** Emitted tokens by cycle, after the first token. Defaults to one cycle for each. */
  readonly cycles?: (tokens: readonly number[]) => readonly number[]
  /** Milliseconds of a cycle. Defaults to 10. */
  readonly cycleMs?: number
  /** Leaves out what a server does not tell. */
  readonly isSilent?: boolean
}

export interface ScriptedGenerator extends TextGenerator {
  readonly requests: GenerateOptions[]
}

/** A generator whose answers and times are made up, so that every figure over them can be computed by hand. */
export function createScriptedGenerator(answer: ScriptedAnswer = {}): ScriptedGenerator {
  const requests: GenerateOptions[] = []
  const generateText = async (options: GenerateOptions) => {
    options.signal?.throwIfAborted()
    requests.push(options)
    return resultOf(options, answer)
  }
  return {
    requests,
    generateText,
    streamText: (options) => streamOf(generateText(options)),
  }
}

function resultOf(options: GenerateOptions, answer: ScriptedAnswer): GenerationResult {
  const said = options.messages!.map(({ content }) => content).join('|')
  const whole = answer.tokens?.(options) ?? Array.from(said, (character) => character.charCodeAt(0))
  const tokens = whole.slice(0, options.maxTokens)
  const cycles = answer.cycles?.(tokens) ?? Array<number>(tokens.length - 1).fill(1)
  const { cycleMs = 10, isSilent = false } = answer
  const base = {
    text: tokens.join(' '),
    finishReason: 'length',
    usage: { promptTokens: said.length, completionTokens: tokens.length },
  } as const
  if (isSilent) return { ...base, tokens: new Uint32Array(0), timings: { totalMs: cycleMs * cycles.length } }
  const deepest = Math.max(0, ...cycles.map((emitted) => emitted - 1))
  return {
    ...base,
    tokens: Uint32Array.from(tokens),
    timings: { prefillMs: 4, firstTokenMs: 5, decodeMs: cycleMs * cycles.length, totalMs: 5 + cycleMs * cycles.length },
    speculation: {
      drafted: deepest * cycles.length,
      accepted: cycles.reduce((sum, emitted) => sum + emitted - 1, 0),
      emitted: cycles.reduce((sum, emitted) => sum + emitted, 0),
      targetCalls: cycles.length,
      acceptanceLength: 1,
      depths: Array.from({ length: deepest }, (_, i) => {
        return { drafted: cycles.length, accepted: cycles.filter((emitted) => emitted - 1 > i).length }
      }),
      draftMs: 1,
      verifyMs: 2,
      otherMs: 1,
    },
  }
}

function streamOf(result: Promise<GenerationResult>): GenerationStream {
  async function* events(): AsyncGenerator<GenerationEvent> {
    const whole = await result
    yield { type: 'text-delta', text: whole.text, tokens: [...whole.tokens] }
    yield { type: 'finish', result: whole }
  }
  const iterator = events()
  return {
    result,
    textStream: (async function* () {})(),
    [Symbol.asyncIterator]: () => iterator,
    async [Symbol.asyncDispose]() {},
  }
}
