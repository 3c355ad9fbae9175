import { createInterface, type Interface } from 'node:readline'
import { Writable } from 'node:stream'
import type { Terminal } from '../terminal.js'

export interface LineReaderOptions {
  readonly terminal: Terminal
  /** A person types: there is a prompt, history and editing. */
  readonly isInteractive: boolean
  readonly prompt: string
  /** Earlier lines, the latest first. */
  readonly history: readonly string[]
  /** Words that the tab key completes at the beginning of a line. */
  readonly words: readonly string[]
  readonly onInterrupt: () => void
}

/** Lines of a person or a pipe, asked for one by one; what is typed in between waits, unseen. */
export class LineReader {
  readonly #reader: Interface
  readonly #screen: Screen | undefined
  readonly #prompt: string
  readonly #lines: string[] = []
  #isClosed = false
  #wake: (() => void) | undefined

  constructor(options: LineReaderOptions) {
    const { terminal, isInteractive, prompt, history, words, onInterrupt } = options
    this.#prompt = prompt
    this.#screen = isInteractive ? new Screen(terminal.output) : undefined
    this.#reader = createInterface({
      input: terminal.input,
      crlfDelay: Infinity,
      terminal: isInteractive,
      ...(this.#screen && {
        output: this.#screen,
        prompt,
        history: [...history],
        historySize: 1000,
        removeHistoryDuplicates: true,
        completer: (line: string) => [words.filter((word) => word.startsWith(line)), line],
      }),
    })
    this.#reader.on('line', (line) => {
      // At once: what follows in the same paste is no part of what is on the screen.
      if (this.#screen) this.#screen.isMuted = true
      this.#lines.push(line)
      this.#wake?.()
    })
    this.#reader.on('close', () => {
      this.#isClosed = true
      this.#wake?.()
    })
    this.#reader.on('SIGINT', onInterrupt)
  }

  /** What has been typed of the line that is asked for. */
  get typed(): string {
    return this.#reader.line ?? ''
  }

  /** Whether there is a line to come; waits for it, and leaves it. */
  async hasLine(): Promise<boolean> {
    while (this.#lines.length === 0 && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    return this.#lines.length > 0
  }

  /** The next line; undefined at the end of the input. */
  async next(): Promise<string | undefined> {
    const typedAhead = this.#lines.shift()
    if (typedAhead !== undefined) {
      this.#screen?.show(`${this.#prompt}${typedAhead}\n`)
      return typedAhead
    }
    if (this.#screen && !this.#isClosed) {
      this.#screen.isMuted = false
      this.#reader.prompt(true)
    }
    if (await this.hasLine()) return this.#lines.shift()
    this.#screen?.show('\n')
    return undefined
  }

  /** Drops what has been typed, shows a notice and asks again. */
  startOver(notice: string): void {
    if (!this.#screen) return
    this.#reader.write(null, { ctrl: true, name: 'e' })
    this.#reader.write(null, { ctrl: true, name: 'u' })
    this.#screen.show(`\n${notice}\n`)
    this.#reader.prompt()
  }

  close(): void {
    this.#reader.close()
  }
}

/** The terminal as the line editor sees it: what it draws while an answer is printed must not be seen. */
class Screen extends Writable {
  isMuted = true
  readonly #target: Terminal['output']
  readonly #resize = () => this.emit('resize')

  constructor(target: Terminal['output']) {
    super({ decodeStrings: false })
    this.#target = target
    target.on('resize', this.#resize)
  }

  /** Unseen text has one endless row: nothing of the answer is taken for a row of the line and wiped away. */
  get columns(): number {
    return this.isMuted ? Infinity : (this.#target.columns ?? 80)
  }

  show(text: string): void {
    this.#target.write(text)
  }

  override _write(chunk: string | Uint8Array, _: BufferEncoding, done: (error?: Error | null) => void): void {
    if (!this.isMuted) this.#target.write(chunk)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#target.off('resize', this.#resize)
    done(error)
  }
}
