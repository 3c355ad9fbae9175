import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { FileError } from '../errors.js'

/**
 * Runs a command line in this terminal until it ends; SIGINT and SIGTERM reach it too.
 *
 * @returns its exit status, as a shell tells it
 * @throws FileError `HASS_ERR_FILE` if it cannot be started
 */
export async function runServer(words: readonly string[]): Promise<number> {
  const [command, ...args] = words
  const child = spawn(command!, args, { stdio: 'inherit' })
  // A terminal sends SIGINT to the whole group by itself; whoever sends SIGTERM means us alone.
  const onInterrupt = () => {}
  const onTerminate = () => child.kill('SIGTERM')
  process.on('SIGINT', onInterrupt)
  process.on('SIGTERM', onTerminate)
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
    return signal ? 128 + constants.signals[signal] : (code ?? 1)
  } catch (cause) {
    throw new FileError('Starting', command!, cause)
  } finally {
    process.off('SIGINT', onInterrupt)
    process.off('SIGTERM', onTerminate)
  }
}
