import { textGeneratorCases } from '@hass-engine/core/test'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { serverKinds } from './client-options.js'
import { type Client, createClient } from './create-client.js'
import type { LocalServer } from './testing/local-server.js'
import { startRecitingServer, words } from './testing/reciting-server.js'

const disposables: AsyncDisposable[] = []
afterEach(async () => {
  for (const disposable of disposables.splice(0)) await disposable[Symbol.asyncDispose]()
})

async function serve(kind: Client['server'], pauseMs?: number): Promise<{ client: Client; server: LocalServer }> {
  const server = await startRecitingServer(kind, pauseMs)
  const client = createClient({ baseURL: server.url, server: kind, model: 'm', retries: { baseMs: 1 } })
  disposables.push(client, server)
  return { client, server }
}

for (const kind of serverKinds) {
  const requests = { prompt: { prompt: 'Once upon a time' }, messages: { messages: [{ role: 'user', content: 'Go' }] } }
  for (const [name, what] of Object.entries(requests)) {
    describe(`a client of ${kind}, ${name}`, () => {
      let server: Promise<LocalServer> | undefined
      const clients: Client[] = []
      afterAll(async () => {
        for (const client of clients) await client[Symbol.asyncDispose]()
        await (await server)?.[Symbol.asyncDispose]()
      })
      const create = async () => {
        server ??= startRecitingServer(kind, 1)
        const client = createClient({ baseURL: (await server).url, server: kind })
        clients.push(client)
        return client
      }
      const cases = textGeneratorCases(create, { ...what, maxTokens: 8 }, { tellsTokens: kind !== 'openai' })
      for (const { name: promise, run } of cases) it(promise, run)
    })
  }
}

describe('results', () => {
  it('have text, tokens, usage and speculation of SGLang', async () => {
    const { client } = await serve('sglang')
    const result = await client.generateText({ tokens: [5, 6, 7, 8], maxTokens: 100 })
    expect(result).toMatchObject({
      text: words.join(''),
      finishReason: 'stop',
      usage: { promptTokens: 4, completionTokens: 11, cachedTokens: 0 },
      speculation: { targetCalls: 4, acceptanceLength: 11 / 4, emitted: 10 },
    })
    expect([...result.tokens]).toEqual(words.map((_, i) => 100 + i))
    expect(result.timings.totalMs).toBeGreaterThanOrEqual(result.timings.firstTokenMs!)
  })

  it('have the seed, statistics and timings that a HASS server tells, and a seed of 64 bits reaches it', async () => {
    const { client, server } = await serve('hass')
    const result = await client.generateText({ prompt: 'x', seed: 2n ** 64n - 1n, speculate: false, typicalP: 0.5 })
    expect(result).toMatchObject({
      seed: 2n ** 64n - 1n,
      speculation: { drafted: 20, accepted: 6, emitted: 10, targetCalls: 4, acceptanceLength: 2.5 },
      timings: { prefillMs: 3, decodeMs: 20 },
    })
    expect(JSON.parse(server.requests[0]!.body)).toMatchObject({ speculate: false, typical_p: 0.5 })
  })

  it('tell the prompt’s tokens before the first text', async () => {
    const { client } = await serve('vllm')
    const events = []
    for await (const event of client.streamText({ tokens: [1, 2, 3], maxTokens: 2 })) events.push(event.type)
    expect(events).toEqual(['prefill-end', 'text-delta', 'text-delta', 'finish'])
  })
})

describe('requests', () => {
  it('say outright what servers would take from the model’s own configuration', async () => {
    const { client, server } = await serve('sglang')
    await client.generateText({ prompt: 'a', maxTokens: 3 })
    await client.generateText({ messages: [{ role: 'user', content: 'a' }], maxTokens: 3 })
    await client.generateText({ prompt: 'a' })
    expect(server.requests.map(({ path }) => path)).toEqual(['/generate', '/v1/tokenize', '/generate', '/generate'])
    expect(JSON.parse(server.requests[0]!.body)).toEqual({
      text: 'a',
      stream: true,
      sampling_params: {
        temperature: 0,
        top_p: 1,
        top_k: -1,
        min_p: 0,
        repetition_penalty: 1,
        presence_penalty: 0,
        frequency_penalty: 0,
        max_new_tokens: 3,
      },
    })
    expect(JSON.parse(server.requests[2]!.body).input_ids).toEqual([1, 2, 3])
    expect(JSON.parse(server.requests[3]!.body).sampling_params.max_new_tokens).toBeNull()
  })

  it('have every option under the server’s name for it', async () => {
    const all = {
      maxTokens: 3,
      temperature: 0.5,
      topK: 4,
      topP: 0.9,
      minP: 0.1,
      repetitionPenalty: 1.1,
      presencePenalty: 0.2,
      frequencyPenalty: 0.3,
      logitBias: { 5: -1 },
      seed: 9,
      stop: ['END'],
      stopTokens: [3],
    }
    const vllm = await serve('vllm')
    await vllm.client.generateText({ ...all, prompt: 'a' })
    expect(JSON.parse(vllm.server.requests[0]!.body)).toEqual({
      model: 'm',
      prompt: 'a',
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 3,
      temperature: 0.5,
      top_k: 4,
      top_p: 0.9,
      min_p: 0.1,
      repetition_penalty: 1.1,
      presence_penalty: 0.2,
      frequency_penalty: 0.3,
      logit_bias: { 5: -1 },
      seed: 9,
      stop: ['END'],
      stop_token_ids: [3],
      return_token_ids: true,
    })
    const sglang = await serve('sglang')
    await sglang.client.generateText({ ...all, tokens: [1] })
    expect(JSON.parse(sglang.server.requests[0]!.body)).toEqual({
      input_ids: [1],
      stream: true,
      sampling_params: {
        max_new_tokens: 3,
        temperature: 0.5,
        top_k: 4,
        top_p: 0.9,
        min_p: 0.1,
        repetition_penalty: 1.1,
        presence_penalty: 0.2,
        frequency_penalty: 0.3,
        logit_bias: { 5: -1 },
        sampling_seed: 9,
        stop: ['END'],
        stop_token_ids: [3],
      },
    })
  })

  it.each([
    ['sglang', { speculate: false }],
    ['sglang', { typicalP: 0.5 }],
    ['sglang', { seed: 2 ** 60 }],
    ['vllm', { speculate: false }],
    ['vllm', { typicalP: 0.9 }],
    ['openai', { topK: 3 }],
    ['openai', { minP: 0.1 }],
    ['openai', { repetitionPenalty: 1.2 }],
    ['openai', { stopTokens: [2] }],
    ['openai', { topLogProbs: 0 }],
    ['openai', { maxTokens: undefined as never }],
  ] as const)('of %s refuse %j, and send nothing', async (kind, options) => {
    const { client, server } = await serve(kind)
    const request = { prompt: 'a', maxTokens: 3, ...options }
    await expect(client.generateText(request)).rejects.toMatchObject({
      code: 'HASS_ERR_UNSUPPORTED_OPTION',
      details: { server: kind },
    })
    expect(server.requests).toEqual([])
  })

  it.each([
    [{ topP: 0 }],
    [{ topK: 0.5 }],
    [{ maxTokens: 0 }],
    [{ seed: -1 }],
    [{ stop: [''] }],
    [{ tokens: [] }],
    [{ prompt: 'a', tokens: [1] }],
    [{ prompt: 5 as never }],
    [{ messages: [{ role: 'user' }] as never }],
    [{ logitBias: { 5: Number.NaN } }],
    [{ prompt: 'a', stopTokens: [-1] }],
  ])('refuse %j', async (options) => {
    const { client, server } = await serve('vllm')
    const request = 'tokens' in options || 'messages' in options ? options : { prompt: 'a', ...options }
    await expect(client.generateText(request)).rejects.toMatchObject({ code: 'HASS_ERR_INVALID_ARGUMENT' })
    expect(server.requests).toEqual([])
  })
})

describe('createClient', () => {
  it.each([
    [{ baseURL: 'ftp://a' }],
    [{ baseURL: 'nonsense' }],
    [{ baseURL: 'http://user:key@127.0.0.1' }],
    [{ server: 'triton' as never }],
    [{ apiKey: 'with space' }],
    [{ apiKey: '' }],
    [{ headers: { 'bad name': 'x' } }],
    [{ headers: { name: 'x\r\ny: z' } }],
    [{ timeouts: { totalMs: 0 } }],
    [{ timeouts: { totalMS: 5 } as never }],
    [{ retries: { maxRetries: -1 } }],
    [{ limits: { maxBodyBytes: 0.5 } }],
    [{ timeout: 5 } as never],
  ])('refuses %j', (options) => {
    const make = () => createClient({ baseURL: 'http://127.0.0.1:1', server: 'vllm', ...options })
    expect(make).toThrow(expect.objectContaining({ code: 'HASS_ERR_INVALID_ARGUMENT' }))
  })

  it('keeps a key out of its error', () => {
    const make = () => createClient({ baseURL: 'http://127.0.0.1:1', server: 'vllm', apiKey: 'sé cret' })
    expect(make).not.toThrow(/cret/)
  })

  it.each([
    ['', '/v1/completions'],
    ['/', '/v1/completions'],
    ['/v1', '/v1/completions'],
    ['/v1/', '/v1/completions'],
    ['/proxy/v1', '/proxy/v1/completions'],
  ])('takes a base URL that ends with %j', async (end, path) => {
    const { server } = await serve('vllm')
    await using client = createClient({ baseURL: server.url + end, server: 'vllm' })
    await client.generateText({ prompt: 'a', maxTokens: 1 }).catch(() => {})
    expect(server.requests[0]!.path).toBe(path)
  })

  it('is of no use once it is disposed', async () => {
    const { client } = await serve('vllm')
    await client[Symbol.asyncDispose]()
    await client[Symbol.asyncDispose]()
    await expect(client.generateText({ prompt: 'a' })).rejects.toMatchObject({ code: 'HASS_ERR_DISPOSED' })
  })

  it('ends what is under way when it is disposed', async () => {
    const { client } = await serve('vllm', 50)
    const stream = client.streamText({ prompt: 'a' })
    for await (const event of stream) if (event.type === 'text-delta') break
    const other = client.generateText({ prompt: 'b' })
    await Promise.all([client[Symbol.asyncDispose](), expect(other).rejects.toThrow()])
  })
})
