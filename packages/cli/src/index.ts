export { FileError, UsageError } from './errors.js'
export { runCli } from './run-cli.js'
export type { Terminal } from './terminal.js'
