import type { Token, TokenLogProbs } from '@hass-engine/core'
import { ServerError } from '../errors.js'
import { readSglangSpeculation } from '../speculation/sglang-meta.js'
import type { Chunk, WireCall } from './chunk.js'
import type { GenerationRequest } from './generation-request.js'
import {
  arrayField,
  asToken,
  countField,
  type JsonObject,
  objectField,
  refuse,
  textField,
  tokensField,
} from './json.js'
import { logProbsOf } from './log-probs.js'
import { throwReportedError } from './openai.js'
import { SglangText } from './sglang-text.js'

/**
 * A request over SGLang's own `/generate` (docs/basic_usage/sampling_params.md; srt/managers/io_struct.py), which
 * tells tokens, speculation and log-probabilities by id.
 */
export function sglangCall(request: GenerationRequest): WireCall {
  const { prompt, tokens, topLogProbs } = request
  const reader = new SglangReader(topLogProbs ?? 0)
  return {
    path: '/generate',
    body: {
      ...(prompt !== undefined ? { text: prompt } : { input_ids: tokens }),
      sampling_params: samplingParams(request),
      stream: true,
      ...(topLogProbs !== undefined && { return_logprob: true, top_logprobs_num: topLogProbs, logprob_start_len: -1 }),
    },
    dispensableFields: [],
    read: (event) => reader.read(event),
  }
}

/** Everything outright: what is left out, SGLang takes from the model's generation_config.json, or from its own 128. */
function samplingParams(request: GenerationRequest): JsonObject {
  const { temperature, topP = 1, topK = -1, minP = 0, maxTokens = null, stops, stopTokens, seed, logitBias } = request
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = request
  return {
    temperature,
    top_p: topP,
    top_k: topK,
    min_p: minP,
    repetition_penalty: repetitionPenalty,
    presence_penalty: presencePenalty,
    frequency_penalty: frequencyPenalty,
    max_new_tokens: maxTokens,
    ...(stops.length > 0 && { stop: stops }),
    ...(stopTokens.length > 0 && { stop_token_ids: stopTokens }),
    ...(logitBias !== undefined && { logit_bias: logitBias }),
    // Taken by every version, obeyed with --enable-deterministic-inference.
    ...(seed !== undefined && { sampling_seed: Number(seed) }),
  }
}

/**
 * Events repeat the whole text, ids and log-probabilities so far; with `--incremental-streaming-output` (before:
 * `--stream-output`, ids only) they hold what is new. `completion_tokens`, always of the whole, tells which.
 */
class SglangReader {
  readonly #text = new SglangText()
  #tokenCount = 0
  #logProbCount = 0

  constructor(private readonly topLogProbs: number) {}

  read(event: JsonObject): Chunk {
    throwReportedError(event)
    const meta = objectField(event, 'meta_info') ?? refuse('meta_info', 'an object', undefined)
    const completionTokens = countField(meta, 'completion_tokens')
    const finish = objectField(meta, 'finish_reason')
    const finishReason = finish && textField(finish, 'type')
    if (finishReason === 'abort') {
      throw new ServerError(`The server aborted the generation: ${finish!.message ?? 'it does not say why'}`, {
        finish,
      })
    }
    const promptTokens = countField(meta, 'prompt_tokens')
    const cachedTokens = countField(meta, 'cached_tokens')
    const speculation = readSglangSpeculation(meta)
    const tokens = this.#newTokens(event, completionTokens)
    const text = this.#newText(event, completionTokens, finishReason !== undefined)
    return {
      ...text,
      // There is no event that could take it back.
      ...(typeof finish?.matched === 'string' && this.#text.isIncremental && { endsInStop: true }),
      ...(tokens && { tokens }),
      ...this.#newLogProbs(meta, completionTokens),
      ...(promptTokens !== undefined && { promptTokens }),
      ...(cachedTokens !== undefined && { cachedTokens }),
      ...(completionTokens !== undefined && { completionTokens }),
      ...(finishReason !== undefined && { finishReason }),
      ...(speculation && { speculation }),
    }
  }

  #newTokens(event: JsonObject, whole: number | undefined): readonly Token[] | undefined {
    const ids = tokensField(event, 'output_ids')
    if (!ids) return undefined
    const isWhole = ids.length === whole
    const fresh = isWhole ? ids.slice(this.#tokenCount) : ids
    this.#tokenCount += fresh.length
    return fresh
  }

  #newText(event: JsonObject, completionTokens: number | undefined, isLast: boolean): Chunk {
    const text = textField(event, 'text')
    if (text === undefined) return {}
    const ids = arrayField(event, 'output_ids')
    const hasNewIdsOnly = ids !== undefined && completionTokens !== undefined && ids.length < completionTokens
    return this.#text.take(text, hasNewIdsOnly, isLast)
  }

  #newLogProbs(meta: JsonObject, whole: number | undefined): Chunk {
    const chosen = arrayField(meta, 'output_token_logprobs')
    if (!chosen) return {}
    const tops = arrayField(meta, 'output_top_logprobs') ?? []
    const from = chosen.length === whole ? this.#logProbCount : 0
    const logProbs = chosen.slice(from).map((entry, index): TokenLogProbs => {
      const [logProb, token] = asPair(entry)
      const top = tops[from + index]
      return logProbsOf(
        token,
        logProb,
        (Array.isArray(top) ? top : []).map((other): [Token, unknown] => {
          const [value, id] = asPair(other)
          return [id, value]
        }),
        this.topLogProbs,
      )
    })
    this.#logProbCount += logProbs.length
    return { logProbs }
  }
}

/** `[logprob, id, text or null]` */
function asPair(entry: unknown): [logProb: unknown, token: Token] {
  if (!Array.isArray(entry)) return refuse('output_token_logprobs', 'triples', entry)
  return [entry[0], asToken(entry[1], 'output_token_logprobs')]
}
