import type { Dispatcher } from 'undici'
import { ResponseError, ResponseSizeError, StreamTruncatedError } from '../errors.js'
import type { CallClock } from './call-clock.js'

export type Body = Dispatcher.ResponseData['body']

/** Enough to see what a server says, too little to fill a log. */
const excerptBytes = 1024
/** What is left of a body is read for so long, that its connection may be used again. */
const drainMs = 1000
const drainBytes = 65_536

/** The beginning of a body, as text; whatever fails, what has come until then. */
export async function readExcerpt(body: Body): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      chunks.push(chunk)
      bytes += chunk.byteLength
      if (bytes >= excerptBytes) break
    }
  } catch {
    // A body that breaks off has said what it said.
  }
  const text = new TextDecoder().decode(Buffer.concat(chunks).subarray(0, excerptBytes))
  return bytes > excerptBytes ? `${text}…` : text
}

/**
 * A whole body as text.
 *
 * @param pieceMs longest wait for its next piece
 * @throws ResponseSizeError, StreamTruncatedError, ResponseError; the reason of `clock`
 */
export async function readText(body: Body, maxBytes: number, clock: CallClock, pieceMs: number): Promise<string> {
  clock.enter('between-tokens', pieceMs)
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of readChunks(body, clock)) {
    clock.enter('between-tokens', pieceMs)
    bytes += chunk.byteLength
    if (bytes > maxBytes) throw new ResponseSizeError('The answer', 'maxBodyBytes', maxBytes)
    chunks.push(chunk)
  }
  clock.leave()
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch (cause) {
    throw new ResponseError('The answer is not valid UTF-8.', undefined, cause)
  }
}

/** The pieces of a body. Leaving it early closes the connection, unless `drain` is called first. */
export async function* readChunks(body: Body, clock: CallClock): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of body) yield chunk as Uint8Array
  } catch (cause) {
    clock.signal.throwIfAborted()
    throw new StreamTruncatedError(`the connection broke (${(cause as NodeJS.ErrnoException).code ?? cause})`, cause)
  }
}

/** Reads what is left of a stream that said all it has to say: its end, normally. Never fails, never takes long. */
export async function drain(chunks: AsyncGenerator<Uint8Array>, body: Body): Promise<void> {
  const timer = setTimeout(() => body.destroy(), drainMs)
  timer.unref()
  try {
    let bytes = 0
    for (let next = await chunks.next(); !next.done && bytes <= drainBytes; next = await chunks.next()) {
      bytes += next.value.byteLength
    }
  } catch {
    // The connection is gone, and nothing is lost.
  } finally {
    clearTimeout(timer)
    body.destroy()
  }
}
