// Sets up, builds, and runs a benchmark: node scripts/bench.mjs FILE [ARGUMENTS]; only its results go to stdout.
import { spawnSync } from 'node:child_process'
import { bootstrap, environment, root } from './bootstrap.mjs'

try {
  bootstrap({ onlyResultsOnStdout: true })
} catch (error) {
  console.error(error.message)
  process.exit(1)
}
const { status } = spawnSync(process.execPath, process.argv.slice(2), { cwd: root, env: environment, stdio: 'inherit' })
process.exitCode = status ?? 1
