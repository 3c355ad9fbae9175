import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text as readAll } from 'node:stream/consumers'

export interface ReceivedRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

export interface LocalServer extends AsyncDisposable {
  readonly url: string
  /** In order. */
  readonly requests: ReceivedRequest[]
  /** Sockets that clients have opened so far. */
  readonly connections: number
}

export type Handler = (request: ReceivedRequest, response: ServerResponse) => void | Promise<void>

/** A server on 127.0.0.1 that answers as the test says. */
export async function startServer(handler: Handler): Promise<LocalServer> {
  const requests: ReceivedRequest[] = []
  let connections = 0
  const server = createServer(async (incoming, response) => {
    response.on('error', () => {})
    const { method = '', url = '', headers } = incoming
    const request = { method, path: url, headers, body: await readAll(incoming).catch(() => '') }
    requests.push(request)
    await handler(request, response)
  })
  server.on('connection', (socket) => {
    connections += 1
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    get connections() {
      return connections
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

export const eventStream = { 'content-type': 'text/event-stream; charset=utf-8' } as const

/** Events as a stream writes them, `[DONE]` at the end. */
export function eventsOf(events: readonly unknown[]): string {
  return [...events.map((event) => JSON.stringify(event)), '[DONE]'].map((data) => `data: ${data}\n\n`).join('')
}

export function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}
