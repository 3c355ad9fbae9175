import type { GenerationEvent, GenerationResult, GenerationStream } from '@hass-engine/core'
import { EventQueue } from './event-queue.js'

/**
 * A generation that runs by itself, whether or not somebody reads it; leaving it ends it.
 *
 * @param run generates into `events` until `left` aborts; rejects with what it failed with
 */
export function createGenerationStream(
  run: (left: AbortSignal, events: EventQueue) => Promise<GenerationResult>,
): GenerationStream {
  const left = new AbortController()
  const events: EventQueue = new EventQueue(() => {
    left.abort(new DOMException('The stream was left before its end.', 'AbortError'))
  })
  const result = run(left.signal, events)
  const ended = result.then(
    (whole) => {
      events.push({ type: 'finish', result: whole })
      events.close()
    },
    (error: unknown) => events.close({ error }),
  )
  return {
    result,
    textStream: textOf(events),
    [Symbol.asyncIterator]: () => events,
    async [Symbol.asyncDispose]() {
      await events.return()
      await ended
    },
  }
}

async function* textOf(events: AsyncIterable<GenerationEvent>): AsyncGenerator<string> {
  for await (const event of events) if (event.type === 'text-delta' && event.text !== '') yield event.text
}
