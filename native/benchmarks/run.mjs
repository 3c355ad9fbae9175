/** Builds the kernels and kernels.cc with the system's compiler and runs it: `node run.mjs [instruction set]`. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { flagsOf } from '../gyp/instruction-sets.mjs'
import { sourcesOf } from '../gyp/sources.mjs'

const native = dirname(dirname(fileURLToPath(import.meta.url)))
const compiler = process.env.CXX ?? 'g++'
const flags = ['-std=c++17', '-O3', '-ffp-contract=off']
const out = mkdtempSync(join(tmpdir(), 'hass-benchmark-'))
try {
  const sources = sourcesOf('cpu').map((file) => join(native, file))
  const objects = [...sources, join(native, 'benchmarks', 'kernels.cc')].map((source, index) => {
    const object = join(out, `${index}.o`)
    // The yardsticks of kernels.cc use vector instructions themselves.
    const isHost = source.endsWith(join('benchmarks', 'kernels.cc'))
    const extra = flagsOf(isHost ? 'kernels_avx2.cc' : source, { compiler })
    execFileSync(compiler, [...flags, ...extra, '-c', source, '-o', object])
    return object
  })
  const binary = join(out, 'kernels')
  execFileSync(compiler, [...objects, '-o', binary])
  execFileSync(binary, process.argv.slice(2), { stdio: 'inherit' })
} finally {
  rmSync(out, { recursive: true, force: true })
}
