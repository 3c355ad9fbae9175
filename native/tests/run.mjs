/**
 * Builds the kernels and their tests with the system's compiler and runs them; fails if one fails.
 *
 *   node run.mjs              exactness, accuracy and packing
 *   node run.mjs --sanitize   the same with AddressSanitizer and UndefinedBehaviorSanitizer
 *   node run.mjs --simde      the same with the AVX-512 kernels, emulated by SIMDe
 *   node run.mjs --aarch64    the same built for AArch64, on processors that QEMU emulates
 *   node run.mjs --mutants    each planted fault must be noticed; with --simde or --aarch64, those of their kernels
 *   --rounds N                random rounds of the exactness test
 *   --mutant TEXT             only mutants with this in their name
 */
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { mutants } from './mutants.mjs'
import { platforms } from './platforms.mjs'

const native = dirname(dirname(fileURLToPath(import.meta.url)))
const programs = ['exactness', 'accuracy', 'packing']
const flags = ['-std=c++17', '-g', '-ffp-contract=off', '-fno-rtti', '-Wall', '-Wextra', '-Werror']
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer']

const { values: options } = parseArgs({
  options: {
    sanitize: { type: 'boolean', default: false },
    simde: { type: 'boolean', default: false },
    aarch64: { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
    mutant: { type: 'string', default: '' },
    rounds: { type: 'string' },
  },
})

const run = promisify(execFile)
const here = options.simde ? 'simde' : options.aarch64 ? 'aarch64' : 'native'
const platform = platforms[here]

function sourcesIn(folder) {
  return readdirSync(join(native, folder))
    .filter((name) => name.endsWith('.cc'))
    .map((name) => `${folder}/${name}`)
    .map((source) => platform.replaced[source] ?? source)
}

async function inParallel(tasks) {
  const queue = [...tasks]
  const work = async () => {
    for (let task = queue.shift(); task; task = queue.shift()) await task()
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work))
}

/** Compiles `sources` of the tree at `root` to objects in `out`. */
async function compile(root, out, sources, extraFlags) {
  await inParallel(
    sources.map((source) => async () => {
      const all = [...extraFlags, ...platform.flagsOf(source), '-c', join(root, source)]
      await run(platform.compiler, [...all, '-o', objectOf(out, source)], { cwd: native })
    }),
  )
}

const objectOf = (out, source) => join(out, `${source.replaceAll(/[\\/]/g, '_')}.o`)

/** Links one program of the objects in `out`; returns its path. */
async function link(out, program, extraFlags) {
  const others = programs.filter((name) => name !== program).map((name) => `tests/${name}.cc`)
  const objects = [...sourcesIn('cpu'), ...sourcesIn('tests')]
    .filter((source) => !others.includes(source))
    .map((source) => objectOf(out, source))
  const binary = join(out, program)
  await run(platform.compiler, [...extraFlags, ...platform.linkFlags, ...objects, '-o', binary])
  return binary
}

/** Runs a program on one of the platform's processors; its exit code and output. */
async function execute(binary, { command }, commandLine) {
  const [first, ...rest] = [...command, binary, ...commandLine]
  try {
    const { stdout } = await run(first, rest, { maxBuffer: 1 << 24 })
    return { code: 0, output: stdout }
  } catch (error) {
    return { code: error.code ?? 1, output: `${error.stdout}${error.stderr}` }
  }
}

/** Whether the kernels that the processor should have are those that were tested. */
function hasExpectedSets({ expects }, output) {
  const found = [...output.matchAll(/^instruction set (\S+)$/gm)].map((match) => match[1])
  if (!expects || expects.join() === found.join()) return true
  console.log(`FAILED: the instruction sets are ${found.join(', ')}, not ${expects.join(', ')}`)
  return false
}

async function runTests(out) {
  const all = [...flags, ...(options.sanitize ? ['-O1', ...sanitizers] : ['-O3'])]
  const rounds = options.rounds ?? (options.sanitize ? '12' : `${platform.rounds}`)
  await compile(native, out, [...sourcesIn('cpu'), ...sourcesIn('tests')], all)
  let passed = 0
  let failed = 0
  for (const program of programs) {
    const binary = await link(out, program, all)
    for (const processor of platform.processors) {
      console.log(`${program} on ${processor.name}`)
      const isExactness = program === 'exactness'
      const { code, output } = await execute(binary, processor, isExactness ? [rounds] : [])
      process.stdout.write(output)
      if (code === 0 && (!isExactness || hasExpectedSets(processor, output))) passed += 1
      else failed += 1
    }
  }
  console.log(`${passed} passed, ${failed} failed`)
  return failed
}

function edit(tree, mutant) {
  if (!mutant.file) return
  const path = join(tree, 'cpu', mutant.file)
  let text = readFileSync(path, 'utf8')
  for (const [from, to] of mutant.edits ?? [[mutant.from, mutant.to]]) {
    if (text.split(from).length !== 2) throw new Error(`"${mutant.name}": its text is not in ${mutant.file} once`)
    text = text.replace(from, () => to)
  }
  writeFileSync(path, text)
}

async function runMutants(out) {
  const base = [...flags.filter((flag) => flag !== '-Werror'), '-O1', '-w']
  const chosen = mutants.filter(({ name, on = 'native' }) => on === here && name.includes(options.mutant))
  await compile(native, out, [...sourcesIn('cpu'), ...sourcesIn('tests')], base)
  for (const program of programs) {
    const { code, output } = await execute(await link(out, program, base), platform.processors[0], [])
    if (code !== 0) throw new Error(`${program} fails without a mutation:\n${output}`)
  }
  let missed = 0
  for (const mutant of chosen) {
    const tree = join(out, 'tree')
    cpSync(join(native, 'cpu'), join(tree, 'cpu'), { recursive: true })
    cpSync(join(native, 'include'), join(tree, 'include'), { recursive: true })
    cpSync(join(native, 'tests', 'simde'), join(tree, 'tests', 'simde'), { recursive: true })
    edit(tree, mutant)
    const mutantFlags = base.map((flag) => mutant.flags?.[flag] ?? flag)
    await compile(tree, out, sourcesIn('cpu'), mutantFlags)
    const { code } = await execute(await link(out, mutant.caughtBy, base), platform.processors[0], [])
    console.log(`${code === 0 ? 'MISSED' : 'caught'} by ${mutant.caughtBy}: ${mutant.name}`)
    if (code === 0) missed += 1
    rmSync(tree, { recursive: true })
  }
  console.log(`${chosen.length - missed} caught, ${missed} missed`)
  return chosen.length === 0 ? 1 : missed
}

const missing = platform.missing()
if (missing) {
  console.error(`These tests need ${missing}.`)
  process.exit(2)
}
const out = mkdtempSync(join(tmpdir(), 'hass-kernels-'))
try {
  process.exitCode = (await (options.mutants ? runMutants(out) : runTests(out))) === 0 ? 0 : 1
} finally {
  rmSync(out, { recursive: true, force: true })
}
