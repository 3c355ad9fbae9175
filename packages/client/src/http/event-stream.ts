import { createParser } from 'eventsource-parser'
import type { LimitOptions } from '../client-options.js'
import { ResponseError, ResponseSizeError, StreamTruncatedError } from '../errors.js'
import { drain, readChunks, readExcerpt } from './body.js'
import type { CallClock } from './call-clock.js'
import type { HttpAnswer } from './http-client.js'

/** What ends a stream. */
const done = '[DONE]'

/**
 * The data of each event of a stream, up to the one that says `[DONE]`; comments and other fields are skipped.
 *
 * @param mayEnd asked where the answer ends, whole, without `[DONE]`: true if it had said all that it had to say
 * @throws ResponseError if the answer is no stream of events, ResponseSizeError, StreamTruncatedError; the reason of
 * `clock`
 */
export async function* readEvents(
  answer: HttpAnswer,
  limits: Required<LimitOptions>,
  clock: CallClock,
  mayEnd: () => boolean,
): AsyncGenerator<string> {
  const { body, release } = answer
  let isDone = false
  try {
    await checkContentType(answer, clock)
    const chunks = readChunks(body, clock)
    const parser = new EventParser(limits.maxEventBytes)
    for (;;) {
      const next = await chunks.next()
      for (const data of next.done ? parser.end() : parser.feed(next.value)) {
        isDone = data === done
        if (isDone) return void drain(chunks, body).finally(release)
        yield data
      }
      if (next.done) break
    }
    if (!mayEnd()) throw new StreamTruncatedError('it ended without [DONE]')
  } finally {
    if (!isDone) {
      body.destroy()
      release()
    }
  }
}

async function checkContentType({ body, url, contentType }: HttpAnswer, clock: CallClock): Promise<void> {
  if (/^text\/event-stream\b/i.test(contentType)) return
  const bodyExcerpt = await readExcerpt(body)
  clock.signal.throwIfAborted()
  throw new ResponseError(
    `${url} answered with ${contentType || 'no content type'}, expected text/event-stream: ${bodyExcerpt.trim()}`,
    { url, contentType, bodyExcerpt },
  )
}

/** Bytes in, data of whole events out. */
class EventParser {
  readonly #decoder = new TextDecoder('utf-8', { fatal: true })
  readonly #maxBytes: number
  readonly #parser
  #events: string[] = []
  #isTooLarge = false
  #endsInReturn = false

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
    this.#parser = createParser({
      maxBufferSize: maxBytes,
      onEvent: ({ data }) => this.#events.push(data),
      // Unknown fields are to be ignored, says the standard.
      onError: ({ type }) => {
        this.#isTooLarge ||= type === 'max-buffer-size-exceeded'
      },
    })
  }

  feed(bytes: Uint8Array): string[] {
    return this.#parse(this.#decode(bytes))
  }

  /**
   * @returns an event whose last line ended with a carriage return: a line feed might have followed it
   * @throws StreamTruncatedError if the bytes end inside a character
   */
  end(): string[] {
    this.#decode()
    return this.#parse(this.#endsInReturn ? '\n' : '')
  }

  #parse(text: string): string[] {
    if (text !== '') this.#endsInReturn = text.endsWith('\r')
    this.#parser.feed(text)
    const events = this.#events
    this.#events = []
    if (this.#isTooLarge || events.some((data) => data.length > this.#maxBytes)) {
      throw new ResponseSizeError('An event of the stream', 'maxEventBytes', this.#maxBytes)
    }
    return events
  }

  #decode(bytes?: Uint8Array): string {
    try {
      return this.#decoder.decode(bytes, { stream: bytes !== undefined })
    } catch (cause) {
      if (bytes) throw new ResponseError('The stream is not valid UTF-8.', undefined, cause)
      throw new StreamTruncatedError('it ended inside a character', cause)
    }
  }
}
