import { createDraftTree, type GenerationEvent, type GenerationResult, type GenerationStream } from '@hass-engine/core'
import type { EngineGenerateOptions } from '@hass-engine/engine'
import type { ChatEngine } from '../chat/conversation.js'

export interface ScriptedEngine extends ChatEngine, AsyncDisposable {
  /** What was asked for, in order. */
  readonly requests: EngineGenerateOptions[]
  isDisposed: boolean
}

/**
 * An engine that says the last message in capitals, word by word. `forever` is answered without end, `fail` fails.
 */
export function createScriptedEngine(policyName = 'scripted'): ScriptedEngine {
  const engine: ScriptedEngine = {
    requests: [],
    isDisposed: false,
    policy: { name: policyName },
    device: { kind: 'cpu', facts: { isa: 'scripted', threads: 3, memoryBytes: 0, busyMs: 0 } },
    tokenizer: { decode: (ids) => `<${Array.from(ids)}>` },
    streamText(options) {
      engine.requests.push(options)
      return streamOf(options)
    },
    async [Symbol.asyncDispose]() {
      engine.isDisposed = true
    },
  }
  return engine
}

function streamOf(options: EngineGenerateOptions): GenerationStream {
  const question = options.messages!.at(-1)!.content
  const text = question.toUpperCase()
  const events = eventsOf(question, text, options.signal)
  return {
    result: Promise.resolve(resultOf(text)),
    textStream: (async function* () {})(),
    [Symbol.asyncIterator]: () => events,
    async [Symbol.asyncDispose]() {},
  }
}

async function* eventsOf(question: string, text: string, signal?: AbortSignal): AsyncGenerator<GenerationEvent> {
  if (question === 'fail') throw new Error('scripted failure')
  if (question === 'forever') {
    for (;;) {
      yield { type: 'text-delta', text: 'on ', tokens: [1] }
      await new Promise((resolve) => setTimeout(resolve, 5))
      signal?.throwIfAborted()
    }
  }
  for (const word of text.match(/\S+\s*/g) ?? []) yield { type: 'text-delta', text: word, tokens: [1] }
  const tree = createDraftTree([5, 6, 7], [-1, 0, 0])
  yield { type: 'draft-verified', tree, verdict: { path: Uint32Array.of(0, 2), bonusToken: 9 } }
  yield { type: 'finish', result: resultOf(text) }
}

function resultOf(text: string): GenerationResult {
  return {
    text,
    tokens: Uint32Array.of(1, 2),
    finishReason: 'stop',
    usage: { promptTokens: 3, completionTokens: 2 },
    timings: { firstTokenMs: 12, decodeMs: 100, totalMs: 112 },
    seed: 1n,
    speculation: { drafted: 2, accepted: 1, emitted: 4, targetCalls: 2, acceptanceLength: 2 },
  }
}
