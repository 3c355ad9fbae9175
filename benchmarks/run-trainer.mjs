// npm run bench:trainer [-- --json] [--rounds N] [--threads N]: puts PyTorch into .cache/torch if pip can, then compares.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const environment = fileURLToPath(new URL('../.cache/torch', import.meta.url))
const python = `${environment}/bin/python`
const packages = ['torch==2.13.0', 'numpy']

const run = (command, ...args) => spawnSync(command, args, { stdio: ['ignore', 2, 2] }).status === 0
const isThere = () => existsSync(python) && run(python, '-c', 'import numpy, torch')

if (
  !isThere() &&
  !(run('python3', '-m', 'venv', environment) && run(python, '-m', 'pip', 'install', '-q', ...packages))
) {
  console.error(
    `Skipped: ${packages.join(' and ')} could not be installed; without them there is nothing to compare with.`,
  )
  process.exit(0)
}
const { compare } = await import('./trainer.mjs')
await compare(python)
