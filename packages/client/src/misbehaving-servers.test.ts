import type { ServerResponse } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import type { GenerateOptions } from '@hass-engine/core'
import { MockAgent } from 'undici'
import { afterEach, describe, expect, it } from 'vitest'
import type { ClientOptions } from './client-options.js'
import { type Client, createClient } from './create-client.js'
import { ClientError } from './errors.js'
import { eventStream, eventsOf, type Handler, json, type LocalServer, startServer } from './testing/local-server.js'

/** A whole answer of vLLM: "Grüße 🙂", three tokens. */
const events = [
  { choices: [{ index: 0, text: 'Grü', token_ids: [1], prompt_token_ids: [9, 9], finish_reason: null }] },
  { choices: [{ index: 0, text: 'ße ', token_ids: [2], finish_reason: null }] },
  { choices: [{ index: 0, text: '🙂', token_ids: [3], finish_reason: 'stop' }] },
  { choices: [], usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 } },
]
const whole = Buffer.from(eventsOf(events))
const first = whole.subarray(0, whole.indexOf('\n\n') + 2)
const request: GenerateOptions = { prompt: 'x', maxTokens: 5 }

const disposables: AsyncDisposable[] = []
afterEach(async () => {
  for (const disposable of disposables.splice(0)) await disposable[Symbol.asyncDispose]()
})

async function serve(handler: Handler, options: Partial<ClientOptions> = {}): Promise<[Client, LocalServer]> {
  const server = await startServer(handler)
  const client = clientOf(server.url, options)
  disposables.push(server)
  return [client, server]
}

function clientOf(baseURL: string, options: Partial<ClientOptions> = {}): Client {
  const client = createClient({
    baseURL,
    server: 'vllm',
    ...options,
    retries: { baseMs: 1, maxMs: 4, ...options.retries },
  })
  disposables.push(client)
  return client
}

async function failureOf(attempt: Promise<unknown>): Promise<ClientError> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof ClientError)) expect.fail(`expected a ClientError, found ${error}`)
  return error
}

async function streamInPieces(response: ServerResponse, pieces: readonly Uint8Array[]): Promise<void> {
  response.writeHead(200, eventStream)
  for (const piece of pieces) {
    response.write(piece)
    await sleep(0)
  }
  response.end()
}

describe('a stream in pieces', () => {
  it('is the same text wherever it is cut, inside characters and line ends too', async () => {
    const crlf = Buffer.from(whole.toString().replaceAll('\n', '\r\n'))
    const cases = Array.from({ length: crlf.length - 1 }, (_, i) => [crlf.subarray(0, i + 1), crlf.subarray(i + 1)])
    let at = 0
    const [client] = await serve((_, response) => streamInPieces(response, cases[at]!))
    for (; at < cases.length; at++) {
      const { text, tokens } = await client.generateText(request)
      expect([text, ...tokens]).toEqual(['Grüße 🙂', 1, 2, 3])
    }
  })

  it('is the same text byte by byte, with comments, a byte order mark, other fields and lone carriage returns', async () => {
    const noisy = `\ufeff: hello\nretry: 10\nid: 5\nevent: message\n${whole.toString()}`
    for (const text of [noisy, noisy.replaceAll('\n', '\r')]) {
      const [client] = await serve((_, response) =>
        streamInPieces(
          response,
          [...Buffer.from(text)].map((b) => Buffer.of(b)),
        ),
      )
      expect((await client.generateText(request)).text).toBe('Grüße 🙂')
    }
  })
})

describe('a stream that ends early', () => {
  it('is an error with the text so far, wherever it ends', async () => {
    let length = 0
    const [client, server] = await serve((_, response) => streamInPieces(response, [whole.subarray(0, length)]))
    const done = whole.length - 'data: [DONE]\n\n'.length
    for (length = 0; length < done + 12; length += 7) {
      const error = await failureOf(client.generateText(request))
      expect(error.code).toBe('HASS_ERR_STREAM_TRUNCATED')
      expect('Grüße 🙂'.startsWith(error.partialText)).toBe(true)
    }
    length = done
    expect((await failureOf(client.generateText(request))).partialText).toBe('Grüße 🙂')
    // Never sent again: something had been generated.
    expect(server.requests.length).toBe(Math.ceil((done + 12) / 7) + 1)
  })

  it('is one too where the connection breaks', async () => {
    const [client, server] = await serve(async (_, response) => {
      response.writeHead(200, eventStream)
      response.write(whole.subarray(0, 200))
      await sleep(20)
      response.destroy()
    })
    const stream = client.streamText(request)
    let text = ''
    const reading = (async () => {
      for await (const part of stream.textStream) text += part
    })()
    const error = await failureOf(reading)
    expect(error).toMatchObject({ code: 'HASS_ERR_STREAM_TRUNCATED', partialText: text })
    expect(text).toBe('Grüße ')
    expect([...error.partialTokens]).toEqual([1, 2])
    await expect(stream.result).rejects.toBe(error)
    expect(server.requests.length).toBe(1)
  })

  it('without a finish_reason is one, [DONE] or not', async () => {
    const [client] = await serve((_, response) => {
      response.writeHead(200, eventStream).end(eventsOf(events.slice(0, 2)))
    })
    expect(await failureOf(client.generateText(request))).toMatchObject({
      code: 'HASS_ERR_STREAM_TRUNCATED',
      partialText: 'Grüße ',
    })
  })

  it('may lack [DONE] where the interface does not promise it, once the text has ended', async () => {
    let count = 3
    const [client] = await serve(
      (_, response) => {
        response.writeHead(200, eventStream).end(eventsOf(events.slice(0, count)).replace('data: [DONE]\n\n', ''))
      },
      { server: 'openai' },
    )
    expect((await client.generateText(request)).text).toBe('Grüße 🙂')
    count = 2
    expect((await failureOf(client.generateText(request))).code).toBe('HASS_ERR_STREAM_TRUNCATED')
  })
})

describe('an answer that is none', () => {
  it.each([
    ['HTML', { 'content-type': 'text/html' }, '<html>Please log in</html>', /Please log in/],
    ['no type', {}, 'data: x\n\n', /no content type/],
    ['no JSON', eventStream, 'data: {"choices": [\n\n', /is no JSON/],
    ['a list', eventStream, 'data: [1]\n\n', /expected an object/],
    ['no choices', eventStream, 'data: {"id": 5}\n\n', /choices/],
    ['choices of another kind', eventStream, 'data: {"choices": ["x"]}\n\n', /objects/],
    ['a text that is a number', eventStream, 'data: {"choices": [{"text": 5}]}\n\n', /text is 5/],
    ['tokens that are none', eventStream, 'data: {"choices": [{"token_ids": [-1]}]}\n\n', /token ids/],
    ['a count below zero', eventStream, 'data: {"choices": [], "usage": {"prompt_tokens": -1}}\n\n', /a count/],
  ])('%s with status 200', async (_, headers, body, message) => {
    const [client, server] = await serve((_, response) => void response.writeHead(200, headers).end(body))
    const error = await failureOf(client.generateText(request))
    expect([error.code, error.isRetryable]).toEqual(['HASS_ERR_RESPONSE', false])
    expect(error.message).toMatch(message)
    expect(server.requests.length).toBe(1)
  })

  it('bytes that are no text', async () => {
    const bytes = Buffer.concat([whole.subarray(0, 60), Buffer.of(0xc3, 0x28), whole.subarray(60)])
    const [client] = await serve((_, response) => void response.writeHead(200, eventStream).end(bytes))
    expect((await failureOf(client.generateText(request))).code).toBe('HASS_ERR_RESPONSE')
  })

  it.each([['gzip'], ['br'], [Array(1000).fill('gzip').join(', ')]])('compressed: %.20s', async (encoding) => {
    const bomb = gzipSync(Buffer.alloc(2 ** 20))
    const [client] = await serve((_, response) => {
      response.writeHead(200, { ...eventStream, 'content-encoding': encoding }).end(bomb)
    })
    const error = await failureOf(client.generateText(request))
    expect([error.code, error.message]).toEqual(['HASS_ERR_RESPONSE', expect.stringMatching(/Content-Encoding/)])
    expect(error.message.length).toBeLessThan(300)
  })

  it('is told by the server in the middle of its stream', async () => {
    for (const failure of [
      { error: { message: 'out of memory' } },
      { error: 'out of memory' },
      { object: 'error', message: 'out of memory' },
    ]) {
      const [client] = await serve((_, response) => {
        response.writeHead(200, eventStream).end(eventsOf([events[0], failure]))
      })
      const error = await failureOf(client.generateText(request))
      expect(error).toMatchObject({ code: 'HASS_ERR_SERVER', partialText: 'Grü', isRetryable: false })
      expect(error.message).toMatch(/out of memory/)
    }
  })

  it.each([['content_filter'], ['abort'], ['tool_calls']])('ends for the reason %s', async (finish_reason) => {
    const [client] = await serve((_, response) => {
      response.writeHead(200, eventStream).end(eventsOf([events[0], { choices: [{ text: '', finish_reason }] }]))
    })
    expect(await failureOf(client.generateText(request))).toMatchObject({ code: 'HASS_ERR_SERVER', partialText: 'Grü' })
  })
})

describe('too much', () => {
  /** Writes without end, as fast as it is read; tells when it was cut off. */
  function pour(response: ServerResponse, bytes: Buffer): Promise<number> {
    let sent = 0
    return new Promise((resolve) => {
      const more = () => {
        for (let n = 0; n < 10_000; n++) {
          sent += bytes.length
          if (!response.write(bytes)) return response.once('drain', more)
        }
        return resolve(sent)
      }
      response.once('close', () => resolve(sent))
      more()
    })
  }

  it('one line without end', async () => {
    let sent: Promise<number> | undefined
    const [client] = await serve((_, response) => {
      response.writeHead(200, eventStream)
      response.write('data: {"choices": "')
      sent = pour(response, Buffer.alloc(65_536, 'a'))
    })
    const before = process.memoryUsage().rss
    const error = await failureOf(client.generateText(request))
    expect(error).toMatchObject({ code: 'HASS_ERR_RESPONSE_SIZE', details: { option: 'maxEventBytes' } })
    expect(await sent).toBeLessThan(2 ** 26)
    expect(process.memoryUsage().rss - before).toBeLessThan(2 ** 28)
  })

  it('text without end', async () => {
    const event = { choices: [{ text: 'more and more '.repeat(50), token_ids: [1], finish_reason: null }] }
    const [client] = await serve(
      (_, response) => {
        response.writeHead(200, eventStream)
        pour(response, Buffer.from(`data: ${JSON.stringify(event)}\n\n`))
      },
      { limits: { maxBodyBytes: 100_000 } },
    )
    const error = await failureOf(client.generateText(request))
    expect(error).toMatchObject({ code: 'HASS_ERR_RESPONSE_SIZE', details: { option: 'maxBodyBytes' } })
  })

  it('a body without end, of success and of failure', async () => {
    let status = 200
    const [client] = await serve(
      (_, response) => {
        response.writeHead(status, { 'content-type': 'text/plain' })
        pour(response, Buffer.alloc(65_536, '#\n'))
      },
      { limits: { maxBodyBytes: 1_000_000 } },
    )
    expect((await failureOf(client.readSpeculationCounters())).code).toBe('HASS_ERR_RESPONSE_SIZE')
    status = 400
    const error = await failureOf(client.readSpeculationCounters())
    expect(error.code).toBe('HASS_ERR_HTTP_STATUS')
    expect(error.message.length).toBeLessThan(2000)
  })
})

describe('too slow', () => {
  const never = () => {}
  it.each<[string, Handler, ClientOptions['timeouts']]>([
    ['headers', never, { headersMs: 50 }],
    ['total', never, { totalMs: 50 }],
    [
      'first-token',
      (_, response) => void response.writeHead(200, eventStream).write('data: {"choices": []}\n\n'),
      { firstTokenMs: 50 },
    ],
    [
      'between-tokens',
      (_, response) => void response.writeHead(200, eventStream).write(first),
      { betweenTokensMs: 50 },
    ],
    [
      'between-tokens',
      async (_, response) => {
        response.writeHead(200, eventStream).write(first)
        // Comments keep a connection alive, but they are no text.
        while (!response.destroyed) {
          response.write(': still here\n\n')
          await sleep(10)
        }
      },
      { betweenTokensMs: 60 },
    ],
  ])('%s', async (phase, handler, timeouts) => {
    const [client, server] = await serve(handler, timeouts ? { timeouts } : {})
    const startedAt = performance.now()
    const error = await failureOf(client.generateText(request))
    expect(error).toMatchObject({ code: 'HASS_ERR_TIMEOUT', phase })
    expect(error.partialText).toBe(phase === 'between-tokens' ? 'Grü' : '')
    expect(performance.now() - startedAt).toBeLessThan(10_000)
    // None where time was up before it was sent; never two.
    expect(server.requests.length).toBeLessThan(2)
  })

  it('one byte at a time, over all', async () => {
    const [client] = await serve(
      async (_, response) => {
        response.writeHead(200, eventStream)
        for (const byte of whole) {
          if (response.destroyed) return
          response.write(Buffer.of(byte))
          await sleep(5)
        }
      },
      { timeouts: { totalMs: 100 } },
    )
    expect(await failureOf(client.generateText(request))).toMatchObject({ phase: 'total' })
  })

  it('no connection', async () => {
    // Nobody listens on an address of documentation; where a network refuses it at once, that is an answer too.
    const client = clientOf('http://192.0.2.1:9', {
      timeouts: { connectMs: 100, totalMs: 5000 },
      retries: { maxRetries: 0 },
    })
    const error = await failureOf(client.generateText(request))
    expect(['HASS_ERR_TIMEOUT', 'HASS_ERR_CONNECTION']).toContain(error.code)
  })
})

describe('repetitions', () => {
  const good: Handler = (_, response) => void response.writeHead(200, eventStream).end(whole)
  const failing = (failures: number, status: number, headers: Record<string, string> = {}): Handler => {
    let left = failures
    return (received, response) => {
      if (left-- > 0) response.writeHead(status, headers).end('come back later')
      else good(received, response)
    }
  }

  it.each([[429], [502], [503], [504], [408]])(
    'follow status %d, which says that nothing was begun',
    async (status) => {
      const [client, server] = await serve(failing(2, status))
      expect((await client.generateText(request)).text).toBe('Grüße 🙂')
      expect(server.requests.length).toBe(3)
    },
  )

  it('end a storm of 429 after so many, and tell what was said', async () => {
    const [client, server] = await serve(failing(1000, 429, { 'retry-after': '0' }))
    const error = await failureOf(client.generateText(request))
    expect(error).toMatchObject({
      code: 'HASS_ERR_HTTP_STATUS',
      status: 429,
      isRetryable: true,
      bodyExcerpt: 'come back later',
    })
    expect(server.requests.length).toBe(4)
  })

  it.each([[400], [401], [404], [413], [500]])('do not follow status %d', async (status) => {
    const [client, server] = await serve(failing(1, status))
    expect(await failureOf(client.generateText(request))).toMatchObject({ status, isRetryable: false })
    expect(server.requests.length).toBe(1)
  })

  it('do not follow a connection that broke while the server may have been at work', async () => {
    const [client, server] = await serve((_, response) => void response.destroy())
    expect(await failureOf(client.generateText(request))).toMatchObject({
      code: 'HASS_ERR_CONNECTION',
      isRetryable: false,
    })
    expect(server.requests.length).toBe(1)
  })

  it('follow a broken connection where a request only reads', async () => {
    let count = 0
    const [client] = await serve((_, response) => {
      count += 1
      if (count < 3) response.destroy()
      else response.end('vllm:spec_decode_num_drafts_total 3\n')
    })
    expect(await client.readSpeculationCounters()).toEqual({ drafts: 3 })
  })

  it('follow a refused connection', async () => {
    await using server = await startServer(good)
    const { url } = server
    await server[Symbol.asyncDispose]()
    const error = await failureOf(clientOf(url).generateText(request))
    expect(error).toMatchObject({ code: 'HASS_ERR_CONNECTION', isRetryable: true, details: { reason: 'ECONNREFUSED' } })
  })

  it('do not wait longer than the call may take', async () => {
    const [client, server] = await serve(failing(9, 429, { 'retry-after': '1000000000' }), {
      timeouts: { totalMs: 5000 },
    })
    const startedAt = performance.now()
    expect(await failureOf(client.generateText(request))).toMatchObject({ status: 429, retryAfterMs: 1e12 })
    expect(performance.now() - startedAt).toBeLessThan(4900)
    expect(server.requests.length).toBe(1)
  })

  it('wait as long as they are asked to, within the cap', async () => {
    const options = { retries: { maxRetryAfterMs: 120 } }
    const [client] = await serve(failing(1, 429, { 'retry-after': '1000000000' }), options)
    const startedAt = performance.now()
    await client.generateText(request)
    expect(performance.now() - startedAt).toBeGreaterThan(115)
  })

  it('end when the caller aborts while they wait', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const [client, server] = await serve((received, response) => {
      failing(1, 429, { 'retry-after': '30' })(received, response)
      setTimeout(() => controller.abort(reason), 200)
    })
    const startedAt = performance.now()
    await expect(client.generateText({ ...request, signal: controller.signal })).rejects.toBe(reason)
    expect(performance.now() - startedAt).toBeLessThan(20_000)
    expect(server.requests.length).toBe(1)
  })

  it('leave a field out that a server refuses, and remember it', async () => {
    const [client, server] = await serve(
      (received, response) => {
        if (received.body.includes('stream_options'))
          json(response, 422, { detail: "Unsupported fields: {'stream_options'}" })
        else good(received, response)
      },
      { server: 'openai' },
    )
    await client.generateText(request)
    await client.generateText(request)
    expect(server.requests.map(({ body }) => body.includes('stream_options'))).toEqual([true, false, false])
  })
})

describe('redirects', () => {
  const redirecting =
    (location: string, status = 307): Handler =>
    (_, response) => {
      response.writeHead(status, { location }).end('moved')
    }
  const own = { apiKey: 'secret', headers: { 'x-tenant': 'me', Cookie: 'a=b' } }

  it.each([[307], [308]])('of status %d carry the request to another origin, but no keys', async (status) => {
    const [, other] = await serve((_, response) => void response.writeHead(200, eventStream).end(whole))
    const [client, first] = await serve(redirecting(`${other.url}/elsewhere`, status), own)
    expect((await client.generateText(request)).text).toBe('Grüße 🙂')
    expect(first.requests[0]!.headers).toMatchObject({
      authorization: 'Bearer secret',
      'x-tenant': 'me',
      cookie: 'a=b',
    })
    const [received] = other.requests
    expect(received).toMatchObject({ method: 'POST', path: '/elsewhere', body: first.requests[0]!.body })
    for (const name of ['authorization', 'x-tenant', 'cookie']) expect(received!.headers).not.toHaveProperty(name)
  })

  it('within the origin keep them', async () => {
    const [client, server] = await serve((received, response) => {
      if (received.path === '/there') response.writeHead(200, eventStream).end(whole)
      else redirecting('/there')(received, response)
    }, own)
    await client.generateText(request)
    expect(server.requests[1]!.headers).toMatchObject({ authorization: 'Bearer secret', 'x-tenant': 'me' })
  })

  it('to another origin and back do not bring the keys back', async () => {
    let home = ''
    const [, other] = await serve((received, response) => redirecting(`${home}/back`)(received, response))
    const [client, server] = await serve((received, response) => {
      if (received.path === '/back') response.writeHead(200, eventStream).end(whole)
      else redirecting(other.url)(received, response)
    }, own)
    home = server.url
    await client.generateText(request)
    expect(server.requests[1]!.headers).not.toHaveProperty('authorization')
  })

  it.each([
    [302, 'http://127.0.0.1:1/', /drop the request's body/],
    [303, '/x', /drop the request's body/],
    [307, 'file:///etc/passwd', /expected http or https/],
    [307, 'http://[', /to no URL/],
    [304, '/x', /drop the request's body/],
  ])('of status %d to %s are not followed', async (status, location, message) => {
    const [client, server] = await serve(redirecting(location, status))
    const error = await failureOf(client.generateText(request))
    expect(error.code).toBe('HASS_ERR_REDIRECT')
    expect(error.message).toMatch(message)
    expect(server.requests.length).toBe(1)
  })

  it('without end do', async () => {
    const [client, server] = await serve(redirecting('/again'))
    expect((await failureOf(client.generateText(request))).code).toBe('HASS_ERR_REDIRECT')
    expect(server.requests.length).toBe(4)
  })

  it('of reading requests may be of any kind', async () => {
    const [client] = await serve((received, response) => {
      if (received.path === '/m') response.end('vllm:spec_decode_num_drafts_total 3\n')
      else redirecting('/m', 302)(received, response)
    })
    expect(await client.readSpeculationCounters()).toEqual({ drafts: 3 })
  })
})

describe('connections', () => {
  it('are used again, and no more are opened than allowed', async () => {
    let active = 0
    let most = 0
    const [client, server] = await serve(
      async (_, response) => {
        most = Math.max(most, ++active)
        await sleep(10)
        active -= 1
        response.writeHead(200, eventStream).end(whole)
      },
      { limits: { maxConcurrency: 3 } },
    )
    const results = await Promise.all(Array.from({ length: 12 }, () => client.generateText(request)))
    expect(results.every(({ text }) => text === 'Grüße 🙂')).toBe(true)
    expect([most, server.connections]).toEqual([3, 3])
  })

  it('that are waited for can be given up, and do not hold the others', async () => {
    const [client] = await serve(
      async (_, response) => {
        await sleep(30)
        response.writeHead(200, eventStream).end(whole)
      },
      { limits: { maxConcurrency: 1 } },
    )
    const running = client.generateText(request)
    await expect(client.generateText({ ...request, signal: AbortSignal.timeout(10) })).rejects.toThrow(/timeout/)
    await running
    expect((await client.generateText(request)).text).toBe('Grüße 🙂')
  })

  it('are ended when a stream is left, and the server sees it', async () => {
    let hasClosed: () => void
    const closed = new Promise<void>((resolve) => {
      hasClosed = resolve
    })
    const [client] = await serve((_, response) => {
      response.on('close', () => hasClosed())
      response.writeHead(200, eventStream).write(first)
    })
    for await (const event of client.streamText(request)) if (event.type === 'text-delta') break
    await closed
  })

  it('may be somebody else’s', async () => {
    const agent = new MockAgent()
    agent.disableNetConnect()
    agent
      .get('http://cluster.example')
      .intercept({ path: '/v1/completions', method: 'POST' })
      .reply(200, whole.toString(), { headers: eventStream })
    const client = clientOf('http://cluster.example', { dispatcher: agent })
    expect((await client.generateText(request)).text).toBe('Grüße 🙂')
    await client[Symbol.asyncDispose]()
    await agent.close()
  })

  it('that speak no HTTP are an error', async () => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.end('SSH-2.0-OpenSSH_9.9\r\n')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const error = await failureOf(clientOf(`http://127.0.0.1:${port}`).generateText(request))
    expect(error).toMatchObject({ code: 'HASS_ERR_CONNECTION', isRetryable: false })
    for (const socket of sockets) socket.destroy()
    server.close()
  })
})
