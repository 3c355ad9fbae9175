import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readableName } from './kernel-names.mjs'

const native = fileURLToPath(new URL('../../', import.meta.url))
const cache = join(native, '..', '.cache', 'cuda-static')
const lister = 'scripts/cuda-static/launches.cc'

/** The program that lists launches; compiled when a source of it has changed. */
function build() {
  const inFolder = (folder, pattern) =>
    readdirSync(join(native, folder))
      .filter((name) => pattern.test(name))
      .map((name) => `${folder}/${name}`)
  const sources = [
    ...inFolder('emulation', /^(?!architecture).*\.cc$/),
    'cuda/stages.cc',
    'runtime/failure.cc',
    'runtime/memory.cc',
    lister,
  ]
  const hash = createHash('sha256')
  const headers = ['cuda', 'cpu', 'include', 'emulation', 'runtime'].flatMap((folder) => inFolder(folder, /\.(h|cu)$/))
  for (const file of [...sources, ...headers]) hash.update(readFileSync(join(native, file)))
  const path = join(cache, `launches-${hash.digest('hex').slice(0, 32)}`)
  if (existsSync(path)) return path
  mkdirSync(cache, { recursive: true })
  const flags = ['-std=c++17', '-O0', '-no-pie', '-fno-pie', '-ffp-contract=off', '-w', '-Iemulation']
  execFileSync(process.env.CXX ?? 'c++', [...flags, ...sources, '-o', `${path}.new`], { cwd: native, stdio: 'inherit' })
  renameSync(`${path}.new`, path)
  return path
}

/**
 * The grids that stages ask for, as the launchers of `cuda/` ask: for each line of launches.cc, a list of
 * `{ kernel, blocks, threads, sharedBytes }` with the number of blocks in all.
 */
export function launchesOf(stages) {
  const program = build()
  const symbols = execFileSync('nm', ['-C', '--defined-only', program], { encoding: 'utf8', maxBuffer: 1 << 26 })
  const names = new Map(
    symbols.split('\n').map((line) => {
      const [, address, name] = /^0*([0-9a-f]+) \w (.*)$/.exec(line) ?? []
      return [address, name && readableName(name)]
    }),
  )
  const grids = stages.map(() => [])
  const output = execFileSync(program, { input: stages.join('\n'), encoding: 'utf8', maxBuffer: 1 << 26 })
  for (const line of output.trimEnd().split('\n')) {
    const [stage, address, ...numbers] = line.split(' ')
    const [x, y, z, threads, sharedBytes] = numbers.map(Number)
    grids[stage].push({ kernel: names.get(address), blocks: x * y * z, threads, sharedBytes })
  }
  return grids
}
