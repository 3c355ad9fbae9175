#!/usr/bin/env node
import { runCli } from './run-cli.js'

// Whoever reads has enough (`hass generate … | head -1`): there is nobody left to tell.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
}
process.exitCode = await runCli(process.argv.slice(2))
