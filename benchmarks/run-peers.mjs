// npm run bench:peers [-- --json] [--rounds N] [--threads N]: installs the peer for this platform alone, then compares.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = dirname(fileURLToPath(import.meta.url))
const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
const version = dependencies['node-llama-cpp']
const system = { linux: 'linux', darwin: 'mac', win32: 'win' }[process.platform]
const variant = `${system}-${process.arch}${process.platform === 'darwin' && process.arch === 'arm64' ? '-metal' : ''}`
const binary = `@node-llama-cpp/${variant}`

if (!existsSync(join(folder, 'node_modules', binary))) {
  // Its optional dependencies are binaries of all kinds of GPUs, 700 MB: one of them is enough.
  const args = [
    'install',
    '--no-save',
    '--no-package-lock',
    '--omit=optional',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
  ]
  const packages = [`node-llama-cpp@${version}`, `${binary}@${version}`]
  const { status } = spawnSync('npm', [...args, ...packages], { cwd: folder, stdio: ['ignore', 2, 2] })
  if (status !== 0) {
    console.error(`node-llama-cpp ${version} could not be installed for ${variant}.`)
    process.exit(1)
  }
}
await import('./peers.mjs')
