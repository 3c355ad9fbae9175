import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'

/** Where a command reads and writes: the process's own streams, or those of a test. */
export interface Terminal {
  readonly input: Readable & { readonly isTTY?: boolean }
  readonly output: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly errors: Writable & { readonly isTTY?: boolean }
  readonly environment: Readonly<Record<string, string | undefined>>
}

export function processTerminal(): Terminal {
  return { input: process.stdin, output: process.stdout, errors: process.stderr, environment: process.env }
}

/** Writes, and waits where the reader is slower than the writer. */
export async function write(stream: Writable, text: string): Promise<void> {
  if (!stream.write(text)) await once(stream, 'drain')
}

/**
 * A text without what would steer the terminal: models and files may hold anything.
 *
 * Line breaks and tabs stay; every other control character becomes visible.
 */
export function withoutControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) =>
    character === '\n' || character === '\t'
      ? character
      : character === '\r'
        ? ''
        : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
