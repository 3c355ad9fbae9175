// Compiler flags of instruction sets beyond the base of an architecture, for everything that compiles cpu/:
// `node instruction-sets.mjs NAME ARCH` prints those of kernels_NAME.cc, if the compiler takes them.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const avx2 = ['-mavx2', '-mfma', '-mf16c']

export const instructionSets = {
  avx2: { arch: 'x64', flags: avx2 },
  avx512: {
    arch: 'x64',
    // What the compiler vectorises by itself stays at 256 bits, which no processor slows down for.
    flags: [...avx2, '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512vnni', '-mprefer-vector-width=256'],
  },
  dotprod: { arch: 'arm64', flags: ['-march=armv8.2-a+dotprod'] },
}

const defaultCompiler = process.env.CXX ?? 'c++'
const answers = new Map()

function takes(compiler, flags) {
  const command = `${compiler} ${flags.join(' ')} -x c++ -fsyntax-only -`
  if (!answers.has(command)) answers.set(command, spawnSync(command, { shell: true, input: '' }).status === 0)
  return answers.get(command)
}

/** The flags that a source file of cpu/ needs beyond the common ones; none if it is to give NULL. */
export function flagsOf(file, { arch = process.arch, compiler = defaultCompiler } = {}) {
  const set = instructionSets[/kernels_(\w+)\.cc$/.exec(file)?.[1]]
  return set?.arch === arch && takes(compiler, set.flags) ? set.flags : []
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [name, arch] = process.argv.slice(2)
  for (const flag of flagsOf(`kernels_${name}.cc`, { arch })) console.log(flag)
}
