import { CommanderError } from 'commander'
import { printError } from './print-error.js'
import { createProgram } from './program.js'
import { processTerminal, type Terminal } from './terminal.js'

/**
 * Runs one `hass` command.
 *
 * @param args what follows the program's name
 * @param terminal Defaults to the process's streams and environment
 * @returns the exit status: 0, 1 for what failed, 2 for wrong usage. Never throws
 */
export async function runCli(args: readonly string[], terminal: Terminal = processTerminal()): Promise<number> {
  const outcome = { status: 0 }
  try {
    await createProgram(terminal, outcome).parseAsync([...args], { from: 'user' })
    return outcome.status
  } catch (error) {
    if (!(error instanceof CommanderError)) return printError(error, terminal)
    if (error.exitCode === 0) return 0
    // Without a command the help has been printed, and says more than a line could.
    return error.code === 'commander.help' ? 2 : printError(error, terminal)
  }
}
