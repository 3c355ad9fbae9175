// Builds the runtime's tests with a sanitizer and runs them: `node sanitize.mjs address|thread|none [--long] [NAME…]`.
// Exits non-zero on a finding or a failed check. `address` is AddressSanitizer with UndefinedBehaviorSanitizer.
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sourcesOf } from '../gyp/sources.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const sanitizers = {
  address: ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-DHASS_SANITIZED'],
  thread: ['-fsanitize=thread', '-DHASS_SANITIZED'],
  none: [],
}
const environment = {
  // A refused allocation is an answer here, not an end.
  ASAN_OPTIONS: 'allocator_may_return_null=1:detect_leaks=1:halt_on_error=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: 'allocator_may_return_null=1:halt_on_error=1:second_deadlock_stack=1',
}

const [mode = 'address', ...rest] = process.argv.slice(2)
if (!(mode in sanitizers)) {
  console.error(`No sanitizer "${mode}": one of ${Object.keys(sanitizers).join(', ')}.`)
  process.exit(2)
}
const folder = join(root, 'build', mode)
const compiler = process.env.CXX ?? 'c++'
const common = [
  '-std=c++17',
  '-O1',
  '-g',
  '-fno-omit-frame-pointer',
  '-ffp-contract=off',
  '-pthread',
  '-Wall',
  '-Wextra',
]

function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', cwd: root, ...options })
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(code ?? `signal ${signal}`))
  })
}

/** True if the object is newer than everything it was made of, as its .d file lists it. */
function isFresh(object) {
  try {
    const made = statSync(object).mtimeMs
    const parts = readFileSync(object.replace(/\.o$/, '.d'), 'utf8').replaceAll('\\\n', ' ').split(/\s+/).slice(1)
    return parts.filter(Boolean).every((part) => statSync(join(root, part)).mtimeMs < made)
  } catch {
    return false
  }
}

const tests = readdirSync(join(root, 'tests-runtime'))
  .filter((name) => name.endsWith('.cc'))
  .map((name) => `tests-runtime/${name}`)
const avx2 = process.arch === 'x64' ? sourcesOf('avx2').map((file) => [file, '-mavx2', '-mfma', '-mf16c']) : []
const units = [...[...sourcesOf('kernels'), ...sourcesOf('runtime'), ...tests].map((file) => [file]), ...avx2]

mkdirSync(folder, { recursive: true })
const objectOf = (file) => join(folder, file.replaceAll('/', '-').replace(/\.cc$/, '.o'))
const stale = units.filter(([file]) => !isFresh(objectOf(file)))
async function compile() {
  for (let unit = stale.pop(); unit; unit = stale.pop()) {
    const [file, ...flags] = unit
    const object = objectOf(file)
    const depend = ['-MMD', '-MF', object.replace(/\.o$/, '.d')]
    const status = await run(compiler, [...common, ...sanitizers[mode], ...flags, ...depend, '-c', file, '-o', object])
    if (status !== 0) process.exit(1)
  }
}
await Promise.all(Array.from({ length: availableParallelism() }, compile))

const program = join(folder, 'runtime-tests')
const objects = units.map(([file]) => objectOf(file))
if ((await run(compiler, [...sanitizers[mode], '-pthread', ...objects, '-o', program])) !== 0) process.exit(1)

const status = await run(program, rest, { env: { ...process.env, ...environment } })
console.log(status === 0 ? `${mode}: no findings` : `${mode}: FAILED (${status})`)
process.exit(status === 0 ? 0 : 1)
