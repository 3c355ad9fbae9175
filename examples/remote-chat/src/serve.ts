import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json as readJson } from 'node:stream/consumers'
import type { GenerateOptions, GenerationResult, TextGenerator } from '@hass-engine/core'

export interface RunningServer extends AsyncDisposable {
  readonly url: string
  /** Ends all connections, as a crash would. */
  crash(): void
}

/** Any generator as a server of the kind `hass`, on this machine alone. */
export async function serve(generator: TextGenerator): Promise<RunningServer> {
  const server = createServer(async (request, response) => {
    const body = (await readJson(request)) as { messages: GenerateOptions['messages']; max_tokens?: number }
    const left = new AbortController()
    response.on('close', () => left.abort())
    response.on('error', () => {})
    try {
      await answer(generator, body, response, left.signal)
    } catch (error) {
      // The head of the answer is gone already: a failure can only be told in the stream.
      if (!left.signal.aborted) response.end(event({ error: { message: String(error) } }))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    crash: () => server.closeAllConnections(),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function answer(
  generator: TextGenerator,
  { messages = [], max_tokens: maxTokens = 200 }: { messages?: GenerateOptions['messages']; max_tokens?: number },
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  await using stream = generator.streamText({ messages, maxTokens, signal })
  for await (const part of stream) {
    if (part.type !== 'text-delta') continue
    response.write(event({ choices: [{ index: 0, delta: { content: part.text }, token_ids: part.tokens }] }))
  }
  response.end(`${event(lastEvent(await stream.result))}data: [DONE]\n\n`)
}

function lastEvent({ finishReason, usage, seed, speculation, timings }: GenerationResult): unknown {
  return {
    choices: [{ index: 0, delta: {}, finish_reason: finishReason }],
    usage: { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens },
    hass: { seed: String(seed ?? 0), speculation, timings },
  }
}

function event(data: unknown): string {
  return `data: ${JSON.stringify(data)}\n\n`
}
