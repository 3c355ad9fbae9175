import { HassError } from '@hass-engine/core'
import { CommanderError } from 'commander'
import { UsageError } from './errors.js'
import { type Terminal, withoutControls } from './terminal.js'

/** What failed as one line, `code: message`. */
export function errorLine(error: unknown): string {
  const { code, message } = describe(error)
  return withoutControls(`${code}: ${message.replace(/\s*\n\s*/g, ' ')}`)
}

/** Prints what failed; returns the exit status. `HASS_DEBUG=1` adds the stack. */
export function printError(error: unknown, { errors, environment }: Terminal): number {
  errors.write(`${errorLine(error)}\n`)
  if (environment.HASS_DEBUG === '1' && error instanceof Error) errors.write(`${error.stack}\n`)
  return isUsage(error) ? 2 : 1
}

function describe(error: unknown): { code: string; message: string } {
  if (HassError.isInstance(error)) return error
  if (error instanceof CommanderError) return { code: 'HASS_ERR_USAGE', message: error.message.replace(/^error: /, '') }
  return { code: 'HASS_ERR_INTERNAL', message: error instanceof Error ? error.message : String(error) }
}

function isUsage(error: unknown): boolean {
  return error instanceof CommanderError || error instanceof UsageError
}
