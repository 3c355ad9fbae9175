import { afterEach, describe, expect, it } from 'vitest'
import type { ClientOptions } from '../client-options.js'
import { type Client, createClient } from '../create-client.js'
import { StopGuard } from '../generation/stop-guard.js'
import { eventStream, eventsOf, json, type LocalServer, startServer } from '../testing/local-server.js'
import {
  hiddenStatesAnswer,
  sglangLogProbEvents,
  sglangMeta2026,
  sglangServerInfo,
  vllmChatLogProbEvents,
  vllmLogProbEvents,
  vllmMetrics,
} from '../testing/replayed.js'

const disposables: AsyncDisposable[] = []
afterEach(async () => {
  for (const disposable of disposables.splice(0)) await disposable[Symbol.asyncDispose]()
})

/** Answers each path with events, or with one object. */
async function replay(
  server: Client['server'],
  answers: Readonly<Record<string, unknown>>,
  options: Partial<ClientOptions> = {},
): Promise<[Client, LocalServer]> {
  const local = await startServer(({ path }, response) => {
    const answer = typeof answers[path] === 'function' ? (answers[path] as () => unknown)() : answers[path]
    if (answer === undefined) json(response, 404, { detail: 'Not Found' })
    else if (typeof answer === 'string') response.end(answer)
    else if (Array.isArray(answer)) response.writeHead(200, eventStream).end(eventsOf(answer))
    else json(response, 200, answer)
  })
  const client = createClient({ baseURL: local.url, server, ...options })
  disposables.push(client, local)
  return [client, local]
}

const sglangEvent = (text: string | null, ids: number[] | undefined, completion: number, finish: unknown = null) => ({
  text,
  ...(ids && { output_ids: ids }),
  meta_info: { finish_reason: finish, prompt_tokens: 2, completion_tokens: completion },
})
const stop = { type: 'stop', matched: 2 }

describe('SGLang’s streams', () => {
  it.each([
    [
      'repeating everything',
      [sglangEvent('a', [1], 1), sglangEvent('ab', [1, 2], 2), sglangEvent('abc', [1, 2, 3], 3, stop)],
    ],
    ['incremental', [sglangEvent('a', [1], 1), sglangEvent('b', [2], 2), sglangEvent('c', [3], 3, stop)]],
    ['with new ids only', [sglangEvent('a', [1], 1), sglangEvent('ab', [2], 2), sglangEvent('abc', [3], 3, stop)]],
  ])('%s, give the same text and tokens', async (_, events) => {
    const [client] = await replay('sglang', { '/generate': events })
    const { text, tokens, usage } = await client.generateText({ prompt: 'x' })
    expect([text, ...tokens]).toEqual(['abc', 1, 2, 3])
    expect(usage).toEqual({ promptTokens: 2, completionTokens: 3 })
  })

  it('that are incremental may begin with repetitions', async () => {
    const events = ['ha', 'ha', 'ha', '!'].map((text, i) => sglangEvent(text, [i], i + 1, i === 3 ? stop : null))
    const [client] = await replay('sglang', { '/generate': events })
    expect((await client.generateText({ prompt: 'x' })).text).toBe('hahaha!')
  })

  it('without ids, as older versions write them, give the text', async () => {
    const [client] = await replay('sglang', {
      '/generate': [sglangEvent('a', undefined, 1), sglangEvent('ab', undefined, 2, { type: 'length', length: 2 })],
    })
    const { text, tokens, finishReason, usage } = await client.generateText({ prompt: 'x' })
    expect([text, tokens.length, finishReason, usage.completionTokens]).toEqual(['ab', 0, 'length', 2])
  })

  it('may take back the beginning of a stop text, which was not given out', async () => {
    const ended = { type: 'stop', matched: 'END' }
    const events = [
      sglangEvent('ab E', [1], 1),
      sglangEvent('ab EN', [1, 2], 2),
      sglangEvent('ab ', [1, 2, 3], 3, ended),
    ]
    const [client] = await replay('sglang', { '/generate': events })
    const parts: string[] = []
    const stream = client.streamText({ prompt: 'x', stop: 'END' })
    for await (const part of stream.textStream) parts.push(part)
    expect(parts).toEqual(['ab '])
    const [unasked] = await replay('sglang', { '/generate': events })
    await expect(unasked.generateText({ prompt: 'x' })).rejects.toMatchObject({ code: 'HASS_ERR_RESPONSE' })
  })

  it('that are incremental leave the beginning of a stop text behind', async () => {
    const ended = { type: 'stop', matched: 'END' }
    const events = [sglangEvent('ab ', [1], 1), sglangEvent('E', [2], 2), sglangEvent('', [3], 3, ended)]
    const [client] = await replay('sglang', { '/generate': events })
    expect((await client.generateText({ prompt: 'x', stop: 'END' })).text).toBe('ab ')
  })

  it('that change what they said are an error', async () => {
    const [client] = await replay('sglang', {
      '/generate': [sglangEvent('abc', [1], 1), sglangEvent('abX', [1, 2], 2)],
    })
    await expect(client.generateText({ prompt: 'x' })).rejects.toMatchObject({
      code: 'HASS_ERR_RESPONSE',
      partialText: 'abc',
    })
  })

  it('that are aborted by the server are an error', async () => {
    const events = [sglangEvent('a', [1], 1), sglangEvent('a', [1], 1, { type: 'abort', message: 'out of memory' })]
    const [client] = await replay('sglang', { '/generate': events })
    await expect(client.generateText({ prompt: 'x' })).rejects.toThrow(/out of memory/)
  })

  it('carry speculation in their last event', async () => {
    const last = { ...sglangEvent('ab', [1, 2], 2), meta_info: sglangMeta2026 }
    const [client] = await replay('sglang', { '/generate': [sglangEvent('a', [1], 1), last] })
    expect((await client.generateText({ prompt: 'x' })).speculation).toMatchObject({ targetCalls: 40, accepted: 59 })
  })

  it('of chats fall back to the chat’s own where conversations are not tokenized', async () => {
    const chat = [
      { choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }] },
      { choices: [{ index: 0, delta: { content: 'Hi' }, finish_reason: null, matched_stop: null }] },
      { choices: [{ index: 0, delta: {}, finish_reason: 'stop', matched_stop: 2 }] },
      { choices: [], usage: { prompt_tokens: 9, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 4 } } },
    ]
    const [client, server] = await replay('sglang', { '/v1/chat/completions': chat })
    const request = { messages: [{ role: 'user', content: 'x' }] }
    for (let n = 0; n < 2; n++) {
      expect(await client.generateText(request)).toMatchObject({
        text: 'Hi',
        usage: { promptTokens: 9, completionTokens: 2, cachedTokens: 4 },
      })
    }
    expect(server.requests.map(({ path }) => path)).toEqual(['/v1/tokenize', ...Array(2).fill('/v1/chat/completions')])
    await expect(client.generateText({ ...request, topLogProbs: 1 })).rejects.toMatchObject({
      code: 'HASS_ERR_UNSUPPORTED_OPTION',
    })
  })
})

describe('log-probabilities', () => {
  const second = { token: 6, logProb: -1.5, top: [{ token: 8, logProb: -0.25 }] }

  it('of SGLang are by id, as many as asked', async () => {
    const [client, server] = await replay('sglang', { '/generate': sglangLogProbEvents })
    const { logProbs } = await client.generateText({ tokens: [1], topLogProbs: 1 })
    expect(logProbs).toEqual([{ token: 5, logProb: -0.5, top: [{ token: 5, logProb: -0.5 }] }, second])
    expect(JSON.parse(server.requests[0]!.body)).toMatchObject({ return_logprob: true, top_logprobs_num: 1 })
  })

  it('of vLLM are by id, in completions and chats', async () => {
    const [client, server] = await replay('vllm', {
      '/v1/completions': vllmLogProbEvents,
      '/v1/chat/completions': vllmChatLogProbEvents,
    })
    const expected = [{ ...second, token: 5 }]
    expect((await client.generateText({ prompt: 'x', topLogProbs: 1 })).logProbs).toEqual(expected)
    expect(
      (await client.generateText({ messages: [{ role: 'user', content: 'x' }], topLogProbs: 1 })).logProbs,
    ).toEqual(expected)
    expect(JSON.parse(server.requests[0]!.body)).toMatchObject({ logprobs: 1, return_tokens_as_token_ids: true })
    expect(JSON.parse(server.requests[1]!.body)).toMatchObject({ logprobs: true, top_logprobs: 1 })
  })

  it('by names are refused', async () => {
    const logprobs = { tokens: ['a'], token_logprobs: [-1], top_logprobs: [{ a: -1 }] }
    const [client] = await replay('vllm', { '/v1/completions': [{ choices: [{ text: 'a', logprobs }] }] })
    await expect(client.generateText({ prompt: 'x', topLogProbs: 1 })).rejects.toMatchObject({
      code: 'HASS_ERR_RESPONSE',
    })
  })
})

describe('speculation beside the stream', () => {
  const stream = [{ choices: [{ index: 0, text: 'ab', token_ids: [1, 2], finish_reason: 'stop' }] }]

  it('is measured for a request that is alone', async () => {
    let drafts = 0
    const metrics = () => {
      drafts += 10
      return vllmMetrics(drafts, drafts * 3, drafts * 2, [])
    }
    const options = { measuresSpeculation: true }
    const [client] = await replay('vllm', { '/v1/completions': stream, '/metrics': metrics }, options)
    expect((await client.generateText({ prompt: 'x' })).speculation).toEqual({
      drafted: 30,
      accepted: 20,
      emitted: 30,
      targetCalls: 10,
      acceptanceLength: 3,
    })
    const both = await Promise.all([client.generateText({ prompt: 'x' }), client.generateText({ prompt: 'y' })])
    expect(both.map(({ speculation }) => speculation)).toEqual([undefined, undefined])
  })
})

describe('features', () => {
  const rows = [
    [1, 2],
    [3, 4],
    [5, 6.5],
  ]

  it('are one row for each token, and the token that was generated has none', async () => {
    const [client, server] = await replay('sglang', { '/generate': hiddenStatesAnswer(rows) })
    const { tokens, features, hiddenSize } = await client.readFeatures([7, 8, 9])
    expect([[...tokens], [...features], hiddenSize]).toEqual([[7, 8, 9], [1, 2, 3, 4, 5, 6.5], 2])
    expect(JSON.parse(server.requests[0]!.body)).toMatchObject({ input_ids: [7, 8, 9], return_hidden_states: true })
  })

  it.each([
    ['a part of the prompt was cached', hiddenStatesAnswer(rows, 2), /--disable-radix-cache/],
    ['rows are missing', hiddenStatesAnswer(rows.slice(0, 1)), /--chunked-prefill-size/],
    ['there are none', { text: '', meta_info: {} }, /--enable-return-hidden-states/],
    ['a row is shorter', hiddenStatesAnswer([[1, 2], [3], [4, 5]]), /expected 2 finite numbers/],
    [
      'a number is none',
      hiddenStatesAnswer([
        [1, 2],
        [3, null as never],
        [4, 5],
      ]),
      /expected 2 finite numbers/,
    ],
  ])('are refused if %s', async (_, answer, message) => {
    const [client] = await replay('sglang', { '/generate': answer })
    await expect(client.readFeatures([7, 8, 9])).rejects.toThrow(message)
  })

  it('of a response are those of every token but its last', async () => {
    const answer = {
      text: 'x',
      output_ids: [4],
      meta_info: {
        finish_reason: { type: 'stop', matched: 2 },
        completion_tokens: 2,
        cached_tokens: 0,
        hidden_states: [rows, [7, 8]],
      },
    }
    const [client, server] = await replay('sglang', { '/generate': answer })
    const source = client.featureSource({ identity: 'a target', maxContext: 100 })
    const request = {
      tokens: Uint32Array.of(7, 8, 9),
      maxTokens: 5,
      temperature: 0,
      seed: 2n ** 63n + 5n,
      endTokens: [2],
    }
    const { tokens, features } = await source.respond(request)
    expect([[...tokens], [...features]]).toEqual([
      [7, 8, 9, 4, 2],
      [1, 2, 3, 4, 5, 6.5, 7, 8],
    ])
    expect(JSON.parse(server.requests[0]!.body).sampling_params).toMatchObject({
      max_new_tokens: 5,
      sampling_seed: 5,
      stop_token_ids: [2],
    })
    expect([...(await source.readFeatures(Uint32Array.of(7, 8, 9)))]).toEqual([1, 2, 3, 4])
    expect([source.identity, source.maxContext]).toEqual(['a target', 100])
  })

  it('are SGLang’s alone', async () => {
    const [client] = await replay('vllm', {})
    await expect(client.readFeatures([1])).rejects.toMatchObject({ code: 'HASS_ERR_UNSUPPORTED_OPTION' })
    await expect(client.readServerInfo()).rejects.toMatchObject({ code: 'HASS_ERR_UNSUPPORTED_OPTION' })
  })
})

describe('what a server tells', () => {
  it('is found under old and new paths', async () => {
    const [client] = await replay('sglang', { '/server_info': sglangServerInfo })
    const [older] = await replay('sglang', { '/get_server_info': sglangServerInfo })
    expect(await client.readServerInfo()).toEqual(await older.readServerInfo())
  })

  it('lists its models', async () => {
    const [client] = await replay('vllm', { '/v1/models': { object: 'list', data: [{ id: 'a' }, { id: 'b' }] } })
    expect(await client.listModels()).toEqual(['a', 'b'])
  })
})

it('a stop text that the server leaves in its text ends it all the same', async () => {
  const events = ['ab E', 'ND c', 'd'].map((text, i) => ({
    choices: [{ index: 0, text, finish_reason: i === 2 ? 'length' : null }],
  }))
  const [client] = await replay('openai', { '/v1/completions': events })
  const result = await client.generateText({ prompt: 'x', maxTokens: 5, stop: ['never', 'END'] })
  expect(result).toMatchObject({ text: 'ab ', finishReason: 'stop' })
})

it('what may be the beginning of a stop text is held back until it is known', () => {
  const guard = new StopGuard(['END', 'NDX'])
  expect(['a', 'bE', 'N', 'x', 'EN', 'DX'.slice(0, 0)].map((text) => guard.push(text))).toEqual([
    'a',
    'b',
    '',
    'ENx',
    '',
    '',
  ])
  expect(guard.finish()).toBe('EN')
})
