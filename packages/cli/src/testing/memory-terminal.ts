import { PassThrough, Writable } from 'node:stream'
import type { Terminal } from '../terminal.js'

/** A terminal whose input a test writes, and whose output it reads. */
export interface MemoryTerminal extends Terminal {
  readonly input: PassThrough & { isTTY?: boolean }
  readonly written: { output: string; errors: string }
  /** Resolves once the output, or else the errors, match; rejects after five seconds. */
  shows(pattern: RegExp, where?: 'output' | 'errors'): Promise<void>
}

export interface MemoryTerminalOptions {
  /** What a pipe holds; without it the input stays open. */
  readonly input?: string
  readonly isTTY?: boolean
  readonly environment?: Terminal['environment']
}

export function createMemoryTerminal(options: MemoryTerminalOptions = {}): MemoryTerminal {
  const { isTTY = false, environment = {} } = options
  const written = { output: '', errors: '' }
  let wake = () => {}
  const sink = (name: 'output' | 'errors') =>
    Object.assign(
      new Writable({
        write(chunk, _, done) {
          written[name] += String(chunk)
          wake()
          done()
        },
      }),
      { isTTY, columns: 80 },
    )
  const input = Object.assign(new PassThrough(), { isTTY, setRawMode: () => {} })
  if (options.input !== undefined) input.end(options.input)
  return {
    input,
    output: sink('output'),
    errors: sink('errors'),
    environment,
    written,
    async shows(pattern, where = 'output') {
      const endsAt = performance.now() + 5000
      while (!pattern.test(written[where])) {
        const left = endsAt - performance.now()
        if (left <= 0) throw new Error(`${pattern} did not show up in ${JSON.stringify(written[where])}`)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
    },
  }
}
