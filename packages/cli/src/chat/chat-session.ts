import type { EngineGenerateOptions } from '@hass-engine/engine'
import pc from 'picocolors'
import { statusLine } from '../format.js'
import { errorLine } from '../print-error.js'
import { type Terminal, withoutControls, write } from '../terminal.js'
import { type ChatEngine, Conversation } from './conversation.js'
import { appendHistory } from './history.js'
import { LineReader } from './line-reader.js'
import { runSlashCommand, slashCommandNames } from './slash-commands.js'

export interface ChatSessionOptions {
  readonly terminal: Terminal
  /** A person types and reads; otherwise lines are answered as they come, and only answers go to the output. */
  readonly isInteractive: boolean
  /** Earlier lines, the latest first. */
  readonly history: readonly string[]
  /** Where lines are kept; absent: nowhere. */
  readonly historyPath: string | undefined
  readonly modelName: string
  readonly openEngine: (signal: AbortSignal) => Promise<ChatEngine & AsyncDisposable>
  readonly generation: EngineGenerateOptions
  readonly system: string | undefined
}

const emptyInput = `Standard input is empty, so there is nothing to answer.
  chat in a terminal:        npm start, or hass chat
  answer one prompt:         npm start -- --prompt "…", or hass generate "…"
  answer a file's lines:     hass chat < questions.txt
  all commands:              hass --help
`

/** One chat, from the first line to the last. */
export class ChatSession {
  readonly #options: ChatSessionOptions
  readonly #reader: LineReader
  readonly #colors: ReturnType<typeof pc.createColors>
  /** Of what is running: the loading of the model, or an answer. */
  #work: AbortController | undefined
  #wasInterrupted = false
  #status = 0

  constructor(options: ChatSessionOptions) {
    const { terminal, isInteractive, history } = options
    this.#options = options
    this.#colors = pc.createColors(isInteractive && !terminal.environment.NO_COLOR)
    this.#reader = new LineReader({
      terminal,
      isInteractive,
      prompt: this.#colors.green('› '),
      history,
      words: slashCommandNames,
      onInterrupt: () => this.#interrupt(),
    })
  }

  /** @returns the exit status: 0, 1 if a line of a pipe could not be answered, 130 if the chat was interrupted before it began */
  async run(): Promise<number> {
    const onSignal = () => this.#interrupt()
    process.on('SIGINT', onSignal)
    try {
      return await this.#run()
    } finally {
      process.off('SIGINT', onSignal)
      this.#reader.close()
    }
  }

  async #run(): Promise<number> {
    const { terminal, isInteractive, generation, system } = this.#options
    // A pipe may be empty: then there is no model to load.
    if (!isInteractive && !(await this.#reader.hasLine())) {
      await write(terminal.output, emptyInput)
      return 0
    }
    const engine = await this.#load()
    if (!engine) return 130
    await using _ = engine
    const conversation = new Conversation(engine, generation, system)
    if (isInteractive) this.#notice(this.#banner(conversation))
    for (;;) {
      const line = await this.#reader.next()
      if (line === undefined || !(await this.#take(conversation, line))) break
    }
    return this.#status
  }

  async #load(): Promise<(ChatEngine & AsyncDisposable) | undefined> {
    const work = new AbortController()
    this.#work = work
    try {
      return await this.#options.openEngine(work.signal)
    } catch (error) {
      if (work.signal.aborted) return undefined
      throw error
    } finally {
      this.#work = undefined
    }
  }

  /** Answers a line, or does what it says; false if it ends the chat. */
  async #take(conversation: Conversation, line: string): Promise<boolean> {
    this.#wasInterrupted = false
    if (line.trim() === '') return true
    const { historyPath } = this.#options
    if (historyPath !== undefined) await appendHistory(historyPath, line)
    try {
      if (!line.startsWith('/')) {
        await this.#answer(conversation, line.trim())
        return true
      }
      const reply = await runSlashCommand(conversation, line)
      if (reply !== undefined) this.#notice(withoutControls(reply))
      return reply !== undefined
    } catch (error) {
      // Whoever is there has seen it.
      if (!this.#options.isInteractive) this.#status = 1
      this.#options.terminal.errors.write(`${this.#colors.red(errorLine(error))}\n`)
      return true
    }
  }

  async #answer(conversation: Conversation, question: string): Promise<void> {
    const { output } = this.#options.terminal
    const work = new AbortController()
    this.#work = work
    let isLineOpen = false
    try {
      const { result, tokens } = await conversation.ask(question, work.signal, async (text) => {
        if (text === '') return
        await write(output, output.isTTY ? withoutControls(text) : text)
        isLineOpen = !text.endsWith('\n')
      })
      if (isLineOpen || !this.#options.isInteractive) await write(output, '\n')
      isLineOpen = false
      this.#notice(this.#colors.dim(result ? statusLine(result) : `stopped after ${tokens} tokens`))
    } finally {
      this.#work = undefined
      if (isLineOpen) await write(output, '\n')
    }
  }

  /** Ctrl-C: ends what is running; at the prompt it ends the chat, if pressed twice. */
  #interrupt(): void {
    if (this.#work) {
      this.#work.abort(new DOMException('Stopped by the user.', 'AbortError'))
    } else if (!this.#options.isInteractive || (this.#wasInterrupted && this.#reader.typed === '')) {
      this.#reader.close()
    } else {
      this.#wasInterrupted = true
      this.#reader.startOver(this.#colors.dim('Ctrl-C again, Ctrl-D or /quit leaves.'))
    }
  }

  /** What is no answer: on a terminal beside the answers, else beside the errors. */
  #notice(text: string): void {
    const { terminal, isInteractive } = this.#options
    const stream = isInteractive ? terminal.output : terminal.errors
    stream.write(`${text}\n`)
  }

  #banner({ canSpeculate, engine }: Conversation): string {
    const drafting = canSpeculate ? `trees by ${engine.policy.name}` : 'no draft head: plain decoding'
    const { bold, dim } = this.#colors
    const parts = [...placeOf(engine), drafting, '/help lists the commands']
    return `${bold(this.#options.modelName)} ${dim(parts.map((part) => `· ${part}`).join(' '))}`
  }
}

/** What computes the answers, where it is this machine. */
function placeOf({ device }: ChatEngine): string[] {
  if (!device) return []
  const { isa, threads } = device.facts
  return [`${device.kind === 'reference' ? 'slow reference' : device.kind} (${isa}, ${threads} threads)`]
}
