/**
 * Builds the kernels and their tests with the system's compiler and runs them; fails if one fails.
 *
 *   node run.mjs              exactness, accuracy and packing
 *   node run.mjs --sanitize   the same with AddressSanitizer and UndefinedBehaviorSanitizer
 *   node run.mjs --mutants    each planted fault must be noticed
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

const native = dirname(dirname(fileURLToPath(import.meta.url)))
const compiler = process.env.CXX ?? 'g++'
const programs = ['exactness', 'accuracy', 'packing']
const flags = ['-std=c++17', '-g', '-ffp-contract=off', '-fno-rtti', '-Wall', '-Wextra', '-Werror']
const isaFlags = { avx2: ['-mavx2', '-mfma', '-mf16c'] }
const sanitizers = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer']

const { values: options } = parseArgs({
  options: {
    sanitize: { type: 'boolean', default: false },
    mutants: { type: 'boolean', default: false },
    mutant: { type: 'string', default: '' },
    rounds: { type: 'string' },
  },
})

const run = promisify(execFile)

function sourcesIn(folder) {
  return readdirSync(join(native, folder))
    .filter((name) => name.endsWith('.cc'))
    .filter((name) => process.arch === 'x64' || !name.endsWith('_avx2.cc'))
    .map((name) => join(folder, name))
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
      const isa = /_(avx2)\.cc$/.exec(source)?.[1]
      const arguments_ = [...extraFlags, ...(isa ? isaFlags[isa] : []), '-c', join(root, source)]
      await run(compiler, [...arguments_, '-o', objectOf(out, source)])
    }),
  )
}

const objectOf = (out, source) => join(out, `${source.replaceAll(/[\\/]/g, '_')}.o`)

/** Links one program of the objects in `out`, runs it; its exit code and output. */
async function runProgram(out, program, extraFlags, commandLine) {
  const others = programs.filter((name) => name !== program).map((name) => join('tests', `${name}.cc`))
  const objects = [...sourcesIn('cpu'), ...sourcesIn('tests')]
    .filter((source) => !others.includes(source))
    .map((source) => objectOf(out, source))
  const binary = join(out, program)
  await run(compiler, [...extraFlags, ...objects, '-o', binary])
  try {
    const { stdout } = await run(binary, commandLine, { maxBuffer: 1 << 24 })
    return { code: 0, output: stdout }
  } catch (error) {
    return { code: error.code ?? 1, output: `${error.stdout}${error.stderr}` }
  }
}

async function runTests(out) {
  const all = [...flags, ...(options.sanitize ? ['-O1', ...sanitizers] : ['-O3'])]
  await compile(native, out, [...sourcesIn('cpu'), ...sourcesIn('tests')], all)
  let failures = 0
  for (const program of programs) {
    const rounds = options.rounds ?? (options.sanitize ? '12' : '90')
    const { code, output } = await runProgram(out, program, all, program === 'exactness' ? [rounds] : [])
    process.stdout.write(output)
    if (code !== 0) failures += 1
  }
  console.log(`${programs.length - failures} passed, ${failures} failed`)
  return failures
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
  const chosen = mutants.filter((mutant) => mutant.name.includes(options.mutant))
  await compile(native, out, [...sourcesIn('cpu'), ...sourcesIn('tests')], base)
  for (const program of programs) {
    const { code, output } = await runProgram(out, program, base, [])
    if (code !== 0) throw new Error(`${program} fails without a mutation:\n${output}`)
  }
  let missed = 0
  for (const mutant of chosen) {
    const tree = join(out, 'tree')
    cpSync(join(native, 'cpu'), join(tree, 'cpu'), { recursive: true })
    cpSync(join(native, 'include'), join(tree, 'include'), { recursive: true })
    edit(tree, mutant)
    const mutantFlags = base.map((flag) => mutant.flags?.[flag] ?? flag)
    await compile(tree, out, sourcesIn('cpu'), mutantFlags)
    const { code } = await runProgram(out, mutant.caughtBy, base, [])
    console.log(`${code === 0 ? 'MISSED' : 'caught'} by ${mutant.caughtBy}: ${mutant.name}`)
    if (code === 0) missed += 1
    rmSync(tree, { recursive: true })
  }
  console.log(`${chosen.length - missed} caught, ${missed} missed`)
  return chosen.length === 0 ? 1 : missed
}

const out = mkdtempSync(join(tmpdir(), 'hass-kernels-'))
try {
  process.exitCode = (await (options.mutants ? runMutants(out) : runTests(out))) === 0 ? 0 : 1
} finally {
  rmSync(out, { recursive: true, force: true })
}
