// Everything that a fresh machine needs before a task can run: pnpm, the dependencies, a build.
// Uses Node alone, since nothing else is there yet.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const isWindows = process.platform === 'win32'
const toolsDir = join(root, '.cache', 'tools')
const packageManager = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager

/** The environment of every child: the workspace's own tools first on PATH (publint calls pnpm by name). */
export const environment = {
  ...process.env,
  TURBO_TELEMETRY_DISABLED: '1',
  PATH: [join(toolsDir, 'node_modules', '.bin'), join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter),
}

/** Programs that print results for other programs keep all else off stdout. */
let onlyResultsOnStdout = false

/** Runs a command; output goes to the terminal, or is returned with `{ quiet: true }`. */
export function run(command, args, { quiet = false, cwd = root, env = {} } = {}) {
  const result = spawnSync(command, args, {
    cwd,
    env: { ...environment, ...env },
    shell: isWindows,
    stdio: quiet ? ['ignore', 'pipe', 'pipe'] : ['inherit', onlyResultsOnStdout ? 2 : 'inherit', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 256 * 2 ** 20,
  })
  if (result.error) throw result.error
  return { ok: result.status === 0, status: result.status, output: `${result.stdout ?? ''}${result.stderr ?? ''}` }
}

export function say(message) {
  console.error(`\n── ${message}`)
}

/** Leaves a workspace in which every package is installed and built; a second call takes a second or two. */
export function bootstrap(options = {}) {
  onlyResultsOnStdout = options.onlyResultsOnStdout ?? false
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Error(`Node ${process.versions.node} is too old: 20.19 or newer is needed.`)
  }
  installPnpm()
  installDependencies()
  say('Building the packages')
  if (!run('turbo', ['run', 'build', '--output-logs=errors-only']).ok) throw new Error('The build failed; see above.')
}

function installPnpm() {
  if (existsSync(join(toolsDir, 'node_modules', '.bin', 'pnpm'))) return
  say(`Installing ${packageManager} into .cache/tools`)
  mkdirSync(toolsDir, { recursive: true })
  const args = ['install', '--prefix', toolsDir, '--no-save', '--no-audit', '--no-fund', packageManager]
  if (!run('npm', args, { quiet: false, cwd: toolsDir }).ok) throw new Error(`npm could not install ${packageManager}.`)
}

/** Skipped while neither the lock file nor any manifest has changed since the last complete install. */
function installDependencies() {
  const stamp = join(root, 'node_modules', '.hass-installed')
  const hash = manifestsHash()
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return
  say('Installing the dependencies')
  const ok = run('pnpm', [
    'install',
    '--frozen-lockfile',
    '--prefer-offline',
    '--reporter=append-only',
    '--loglevel=warn',
  ]).ok
  if (!ok) throw new Error('pnpm install failed; is the npm registry reachable?')
  writeFileSync(stamp, hash)
}

function manifestsHash() {
  const hash = createHash('sha256')
  const manifests = ['pnpm-lock.yaml', 'package.json', 'pnpm-workspace.yaml']
  for (const group of ['packages', 'examples']) {
    for (const name of existsSync(join(root, group)) ? readdirSync(join(root, group)).sort() : []) {
      manifests.push(join(group, name, 'package.json'))
    }
  }
  for (const file of [...manifests, join('native', 'package.json')]) {
    const path = join(root, file)
    if (existsSync(path)) hash.update(file).update(readFileSync(path))
  }
  return hash.digest('hex')
}
