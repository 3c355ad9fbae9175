import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerKind } from '../client-options.js'
import { eventStream, json, type LocalServer, type ReceivedRequest, startServer } from './local-server.js'

/** Token ids 100, 101 … of what every reciting server says. */
export const words = [
  'In ',
  'einem ',
  'Loch ',
  'im ',
  'Boden ',
  'da ',
  'lebte ',
  'ein ',
  'Höhlen',
  'wesen',
  ' 🙂.',
] as const
const firstId = 100

interface Recital {
  readonly count: number
  readonly isCut: boolean
  readonly promptTokens: number
}

/**
 * A server of the given kind that recites, event by event, with the fields of that kind's streams:
 *
 * - sglang: `/generate`, text and ids repeated in every event, `meta_info` (docs/basic_usage/sampling_params.md,
 *   "Streaming"; srt/managers/tokenizer_manager.py), `/v1/tokenize`
 * - vllm: `token_ids` and `prompt_token_ids` (vllm/entrypoints/openai/completion/protocol.py, `return_token_ids`)
 * - openai: no ids (OpenAI API reference, "Chat streaming")
 * - hass: as vllm, and an object `hass` in the last event
 */
export function startRecitingServer(kind: ServerKind, pauseMs = 0): Promise<LocalServer> {
  return startServer(async (request, response) => {
    const body = JSON.parse(request.body || '{}') as Record<string, unknown>
    if (request.path === '/v1/tokenize') return json(response, 200, { tokens: [1, 2, 3], count: 3, max_model_len: 99 })
    if (request.path === '/generate') return stream(response, sglangEvents(recitalOf(sampling(body), body)), pauseMs)
    if (/^\/v1\/(chat\/)?completions$/.test(request.path)) {
      return stream(response, openAiEvents(kind, request, body), pauseMs)
    }
    return json(response, 404, { detail: 'Not Found' })
  })
}

function sampling(body: Record<string, unknown>): Record<string, unknown> {
  return body.sampling_params as Record<string, unknown>
}

function recitalOf(limits: Record<string, unknown>, body: Record<string, unknown>): Recital {
  const max = (limits.max_new_tokens ?? limits.max_tokens ?? Infinity) as number
  const prompt = body.input_ids ?? body.prompt ?? body.text ?? body.messages
  const promptTokens = Array.isArray(prompt) ? prompt.length : String(prompt).split(' ').length
  return { count: Math.min(max, words.length), isCut: max < words.length, promptTokens }
}

function* sglangEvents({ count, isCut, promptTokens }: Recital): Generator<unknown> {
  for (let n = 1; n <= count; n++) {
    const isLast = n === count
    yield {
      text: words.slice(0, n).join(''),
      output_ids: Array.from({ length: n }, (_, i) => firstId + i),
      meta_info: {
        id: 'a1',
        finish_reason: !isLast ? null : isCut ? { type: 'length', length: count } : { type: 'stop', matched: 2 },
        prompt_tokens: promptTokens,
        completion_tokens: n,
        cached_tokens: 0,
        ...(isLast && { spec_verify_ct: 4, spec_accept_length: count / 4, spec_accept_rate: 0.5 }),
      },
    }
  }
}

function* openAiEvents(kind: ServerKind, request: ReceivedRequest, body: Record<string, unknown>): Generator<unknown> {
  const isChat = request.path.includes('chat')
  const { count, isCut, promptTokens } = recitalOf(body, body)
  const hasIds = kind !== 'openai' && body.return_token_ids === true
  const head = { id: 'c1', object: isChat ? 'chat.completion.chunk' : 'text_completion', created: 1, model: 'm' }
  if (isChat) yield { ...head, choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] }
  for (let n = 0; n < count; n++) {
    const finish_reason = n < count - 1 ? null : isCut ? 'length' : 'stop'
    yield {
      ...head,
      choices: [
        {
          index: 0,
          ...(isChat ? { delta: { content: words[n] } } : { text: words[n] }),
          ...(hasIds && { token_ids: [firstId + n] }),
          ...(hasIds && n === 0 && { prompt_token_ids: Array.from({ length: promptTokens }, (_, i) => i) }),
          finish_reason,
        },
      ],
    }
  }
  yield {
    ...head,
    choices: [],
    usage: { prompt_tokens: promptTokens, completion_tokens: count, total_tokens: promptTokens + count },
    ...(kind === 'hass' && {
      hass: {
        seed: String(body.seed ?? 7),
        speculation: { drafted: 20, accepted: 6, emitted: 10, targetCalls: 4, acceptanceLength: 2.5 },
        timings: { prefillMs: 3, firstTokenMs: 4, decodeMs: 20, totalMs: 25 },
      },
    }),
  }
}

async function stream(response: ServerResponse, events: Iterable<unknown>, pauseMs: number): Promise<void> {
  response.writeHead(200, eventStream)
  for (const event of events) {
    if (response.destroyed) return
    response.write(`data: ${JSON.stringify(event)}\n\n`)
    await sleep(pauseMs)
  }
  response.end('data: [DONE]\n\n')
}
