import type { SpeculationStatistics, Token, TokenLogProbs } from '@hass-engine/core'
import type { ServerKind } from '../client-options.js'
import { ServerError } from '../errors.js'
import { readSglangSpeculation } from '../speculation/sglang-meta.js'
import type { Chunk, WireCall } from './chunk.js'
import type { GenerationRequest } from './generation-request.js'
import { readHassFields } from './hass.js'
import {
  arrayField,
  countField,
  isObject,
  type JsonObject,
  objectField,
  refuse,
  textField,
  tokensField,
} from './json.js'
import { fromTokenName, logProbsOf } from './log-probs.js'

export interface WireTarget {
  readonly server: ServerKind
  readonly model: string
}

/**
 * A request over `/v1/chat/completions` or `/v1/completions`, with what vLLM, SGLang and HASS servers add to OpenAI's
 * interface (vLLM: entrypoints/openai/completion/protocol.py; SGLang: srt/entrypoints/openai/protocol.py).
 */
export function openAiCall(request: GenerationRequest, target: WireTarget): WireCall {
  const { messages, prompt, tokens } = request
  const isChat = messages !== undefined
  return {
    path: isChat ? '/v1/chat/completions' : '/v1/completions',
    body: {
      model: target.model,
      ...(isChat ? { messages } : { prompt: prompt ?? tokens }),
      stream: true,
      stream_options: { include_usage: true },
      ...samplingFields(request, target.server),
      ...(target.server !== 'openai' && extendedFields(request, target.server)),
      ...(request.topLogProbs !== undefined && logProbFields(request.topLogProbs, isChat)),
    },
    // `transformers serve` refuses it, and counts without being asked.
    dispensableFields: ['stream_options'],
    read: (event) => readEvent(event, request, target.server),
  }
}

function samplingFields(request: GenerationRequest, server: ServerKind): JsonObject {
  const { temperature, topP, presencePenalty, frequencyPenalty, logitBias, seed, stops, maxTokens, messages } = request
  return {
    temperature,
    ...(topP !== undefined && { top_p: topP }),
    ...(presencePenalty !== undefined && { presence_penalty: presencePenalty }),
    ...(frequencyPenalty !== undefined && { frequency_penalty: frequencyPenalty }),
    ...(logitBias !== undefined && { logit_bias: logitBias }),
    // A seed of 64 bits is no number of JSON; only our own servers are sent one.
    ...(seed !== undefined && { seed: server === 'hass' ? String(seed) : Number(seed) }),
    ...(stops.length > 0 && { stop: stops }),
    // Absent means 16 for completions; null means what the context has room for.
    ...(maxTokens !== undefined ? { max_tokens: maxTokens } : !messages && { max_tokens: null }),
  }
}

/** What is left out here would be taken from the model's generation_config.json. */
function extendedFields(request: GenerationRequest, server: ServerKind): JsonObject {
  const { topP = 1, topK = -1, minP = 0, repetitionPenalty = 1, typicalP, stopTokens, speculate } = request
  return {
    top_p: topP,
    top_k: topK,
    min_p: minP,
    repetition_penalty: repetitionPenalty,
    ...(stopTokens.length > 0 && { stop_token_ids: stopTokens }),
    return_token_ids: true,
    // A reasoning parser would take the reasoning out of the text.
    ...(server === 'sglang' && { separate_reasoning: false }),
    ...(server === 'hass' && typicalP !== undefined && { typical_p: typicalP }),
    ...(server === 'hass' && speculate !== undefined && { speculate }),
  }
}

function logProbFields(count: number, isChat: boolean): JsonObject {
  const asIds = { return_tokens_as_token_ids: true }
  return isChat ? { logprobs: true, top_logprobs: count, ...asIds } : { logprobs: count, ...asIds }
}

function readEvent(event: JsonObject, request: GenerationRequest, server: ServerKind): Chunk {
  throwReportedError(event)
  const choices = arrayField(event, 'choices') ?? refuse('choices', 'an array', undefined)
  const [choice] = choices
  return {
    ...readUsage(event),
    ...(choice !== undefined && readChoice(choice, event, request)),
    ...(server === 'hass' && readHassFields(event)),
  }
}

/** Servers that fail after the head of their answer can only say so in an event. */
export function throwReportedError(event: JsonObject): void {
  const { error, object } = event
  if ((error === undefined || error === null) && object !== 'error') return
  const fields = isObject(error) ? error : event
  const message = typeof error === 'string' ? error : (fields.message ?? JSON.stringify(fields))
  throw new ServerError(`The server ended the generation: ${String(message).slice(0, 1000)}`, {
    reported: fields,
  })
}

function readUsage(event: JsonObject): Chunk {
  const usage = objectField(event, 'usage')
  if (!usage) return {}
  const promptTokens = countField(usage, 'prompt_tokens')
  const completionTokens = countField(usage, 'completion_tokens')
  const cachedTokens = countField(objectField(usage, 'prompt_tokens_details') ?? {}, 'cached_tokens')
  return {
    ...(promptTokens !== undefined && { promptTokens }),
    ...(completionTokens !== undefined && { completionTokens }),
    ...(cachedTokens !== undefined && { cachedTokens }),
  }
}

function readChoice(choice: unknown, event: JsonObject, request: GenerationRequest): Chunk {
  if (!isObject(choice)) return refuse('choices', 'objects', choice)
  const delta = objectField(choice, 'delta')
  const text = delta ? textField(delta, 'content') : textField(choice, 'text')
  const reasoning = delta && (textField(delta, 'reasoning_content') ?? textField(delta, 'reasoning'))
  const tokens = tokensField(choice, 'token_ids')
  // vLLM has the prompt's ids beside the choices of a chat, and in the first choice of a completion.
  const promptIds = arrayField(choice, 'prompt_token_ids') ?? arrayField(event, 'prompt_token_ids')
  const finishReason = textField(choice, 'finish_reason')
  const { topLogProbs } = request
  const logProbs = objectField(choice, 'logprobs')
  const speculation = speculationOf(choice)
  return {
    ...(text !== undefined && { text }),
    ...(tokens && { tokens }),
    ...(promptIds && { promptTokens: promptIds.length }),
    ...(topLogProbs !== undefined && logProbs && { logProbs: readLogProbs(logProbs, topLogProbs) }),
    ...(finishReason !== undefined && { finishReason }),
    ...(reasoning && { isProgress: true }),
    ...(speculation && { speculation }),
  }
}

/** Where SGLang has been asked for it: not in the streams of the versions read, but nothing forbids it. */
function speculationOf(choice: JsonObject): SpeculationStatistics | undefined {
  const meta = objectField(choice, 'meta_info')
  return meta && readSglangSpeculation(meta)
}

function readLogProbs(logProbs: JsonObject, count: number): TokenLogProbs[] {
  const content = arrayField(logProbs, 'content')
  if (content) return content.map((entry) => readChatEntry(entry, count))
  const names = arrayField(logProbs, 'tokens') ?? []
  const values = arrayField(logProbs, 'token_logprobs') ?? []
  const tops = arrayField(logProbs, 'top_logprobs') ?? []
  return names.map((name, index) => {
    const top = tops[index]
    const entries = isObject(top) ? Object.entries(top) : []
    return logProbsOf(
      fromTokenName(name),
      values[index],
      entries.map(([other, value]): [Token, unknown] => [fromTokenName(other), value]),
      count,
    )
  })
}

function readChatEntry(entry: unknown, count: number): TokenLogProbs {
  if (!isObject(entry)) return refuse('logprobs.content', 'objects', entry)
  const top = (arrayField(entry, 'top_logprobs') ?? []).map((other): [Token, unknown] =>
    isObject(other) ? [fromTokenName(other.token), other.logprob] : refuse('top_logprobs', 'objects', other),
  )
  return logProbsOf(fromTokenName(entry.token), entry.logprob, top, count)
}
