import { HassError } from '@hass-engine/core'

/** `HASS_ERR_USAGE`: a command line that cannot be meant; the exit status is 2. */
export class UsageError extends HassError {
  override readonly name = 'UsageError'
  constructor(message: string) {
    super('HASS_ERR_USAGE', message)
  }
}

/** `HASS_ERR_FILE`: a file that the user named cannot be read or written. */
export class FileError extends HassError {
  override readonly name = 'FileError'
  constructor(what: string, path: string, cause: unknown) {
    // Node says "ENOENT: no such file or directory, open 'x'".
    const reason = String((cause as Error).message).replace(/^(E\w+): ([^,]*).*$/s, '$2 ($1)')
    super('HASS_ERR_FILE', `${what} ${path} failed: ${reason}.`, { cause, details: { path, reason } })
  }
}
