import type { Command } from 'commander'
import { ChatSession } from '../chat/chat-session.js'
import { historyPath, readHistory } from '../chat/history.js'
import { modelName, openGenerator } from '../open-engine.js'
import {
  addModelFlags,
  addSamplingFlags,
  addServerFlags,
  generateOptions,
  type ModelFlags,
  type SamplingFlags,
  type ServerFlags,
} from '../options.js'
import type { Outcome } from '../outcome.js'
import type { Terminal } from '../terminal.js'

interface ChatFlags extends ModelFlags, SamplingFlags, ServerFlags {
  readonly system?: string
  readonly history: boolean
}

export function addChat(program: Command, terminal: Terminal, outcome: Outcome): void {
  const command = program
    .command('chat')
    .description('talk with the model; a pipe is answered line by line')
    .option('--system <text>', 'what the model is told before the conversation')
    .option('--no-history', 'neither read nor keep the lines that are typed')
  addServerFlags(addSamplingFlags(addModelFlags(command))).action(async (flags: ChatFlags) => {
    outcome.status = await chat(flags, terminal)
  })
}

async function chat(flags: ChatFlags, terminal: Terminal): Promise<number> {
  const isInteractive = Boolean(terminal.input.isTTY && terminal.output.isTTY)
  const keptIn = isInteractive && flags.history ? historyPath(terminal.environment) : undefined
  const session = new ChatSession({
    terminal,
    isInteractive,
    historyPath: keptIn,
    history: keptIn === undefined ? [] : await readHistory(keptIn),
    modelName: modelName(flags),
    openEngine: (signal) => openGenerator(flags, terminal, signal),
    generation: generateOptions(flags),
    system: flags.system,
  })
  return session.run()
}
