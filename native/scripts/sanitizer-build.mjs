// Compiles the addon's sources with a sanitizer, without node-gyp: objects are kept and made anew when stale.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { flagsOf } from '../gyp/instruction-sets.mjs'
import { sourcesOf } from '../gyp/sources.mjs'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..')
export const compiler = process.env.CXX ?? 'c++'

/** Compiler flags by mode. `address` comes with the undefined-behaviour checks. */
export const sanitizers = {
  address: ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
  thread: ['-fsanitize=thread'],
  none: [],
}

const common = [
  '-std=c++17',
  '-O1',
  '-g',
  '-fPIC',
  '-fno-omit-frame-pointer',
  '-ffp-contract=off',
  '-pthread',
  '-Wall',
  '-Wextra',
]

/** Runs a command with its output on the terminal; resolves with its exit status, or the name of its signal. */
export function run(command, args, environment = {}) {
  return new Promise((settle, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', cwd: root, env: { ...process.env, ...environment } })
    child.on('error', reject)
    child.on('close', (code, signal) => settle(code ?? signal))
  })
}

const testSources = () =>
  readdirSync(join(root, 'tests-runtime'))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => `tests-runtime/${name}`)

function nodeHeaders() {
  const folder = join(dirname(dirname(realpathSync(process.execPath))), 'include', 'node')
  if (existsSync(join(folder, 'node_api.h'))) return `-I${folder}`
  throw new Error(`Node's headers are not in ${folder}.`)
}

const plain = (files, ...flags) => files.map((file) => ({ file, flags }))
const kernels = () => sourcesOf('cpu').map((file) => ({ file, flags: flagsOf(file, { compiler }) }))

/** Builds what drives the C ABI without Node; returns its path. */
export function buildTests(mode) {
  const units = [...kernels(), ...plain([...sourcesOf('runtime'), ...testSources()])]
  return build(mode, units, 'runtime-tests', [])
}

/** Builds the addon; returns its path. */
export function buildAddon(mode) {
  const units = [...kernels(), ...plain(sourcesOf('host'), nodeHeaders(), '-DNODE_GYP_MODULE_NAME=hass')]
  return build(mode, units, 'hass.node', ['-shared'])
}

async function build(mode, units, name, linkFlags) {
  const folder = join(root, 'build', mode)
  mkdirSync(folder, { recursive: true })
  const objectOf = ({ file }) => join(folder, file.replaceAll('/', '-').replace(/\.cc$/, '.o'))
  const stale = units.filter((unit) => !isFresh(objectOf(unit)))
  const compile = async () => {
    for (let unit = stale.pop(); unit; unit = stale.pop()) {
      const object = objectOf(unit)
      const depend = ['-MMD', '-MF', object.replace(/\.o$/, '.d')]
      await must(compiler, [...common, ...sanitizers[mode], ...unit.flags, ...depend, '-c', unit.file, '-o', object])
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, compile))
  const target = join(folder, name)
  await must(compiler, [...sanitizers[mode], ...linkFlags, '-pthread', ...units.map(objectOf), '-o', target])
  return target
}

async function must(command, args) {
  const status = await run(command, args)
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${args.at(-1)}`)
}

/** True if the object is newer than everything it was made of, as its .d file lists it. */
function isFresh(object) {
  try {
    const made = statSync(object).mtimeMs
    const parts = readFileSync(object.replace(/\.o$/, '.d'), 'utf8').replaceAll('\\\n', ' ').split(/\s+/).slice(1)
    // Other flags make other objects.
    parts.push(fileURLToPath(import.meta.url))
    return parts.filter(Boolean).every((part) => statSync(resolve(root, part)).mtimeMs < made)
  } catch {
    return false
  }
}
