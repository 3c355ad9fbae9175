import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Installs node-llama-cpp for this platform alone, if it is not there; returns why it could not be, or nothing. */
export function installPeer() {
  const folder = dirname(fileURLToPath(import.meta.url))
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const version = dependencies['node-llama-cpp']
  const system = { linux: 'linux', darwin: 'mac', win32: 'win' }[process.platform]
  const variant = `${system}-${process.arch}${process.platform === 'darwin' && process.arch === 'arm64' ? '-metal' : ''}`
  const binary = `@node-llama-cpp/${variant}`
  if (existsSync(join(folder, 'node_modules', binary))) return undefined
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
  return status === 0 ? undefined : `node-llama-cpp ${version} could not be installed for ${variant}.`
}
