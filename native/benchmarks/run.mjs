/** Builds the kernels and kernels.cc with the system's compiler and runs it: `node run.mjs [instruction set]`. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const native = dirname(dirname(fileURLToPath(import.meta.url)))
const compiler = process.env.CXX ?? 'g++'
const flags = ['-std=c++17', '-O3', '-ffp-contract=off']
const avx2Flags = ['-mavx2', '-mfma', '-mf16c']
const isX64 = process.arch === 'x64'
const out = mkdtempSync(join(tmpdir(), 'hass-benchmark-'))
try {
  const sources = readdirSync(join(native, 'cpu'))
    .filter((name) => name.endsWith('.cc') && (isX64 || !name.endsWith('_avx2.cc')))
    .map((name) => join(native, 'cpu', name))
  const objects = [...sources, join(native, 'benchmarks', 'kernels.cc')].map((source, index) => {
    const object = join(out, `${index}.o`)
    // The yardsticks of kernels.cc use vector instructions themselves.
    const extra = isX64 && /(_avx2|benchmarks.kernels)\.cc$/.test(source) ? avx2Flags : []
    execFileSync(compiler, [...flags, ...extra, '-c', source, '-o', object])
    return object
  })
  const binary = join(out, 'kernels')
  execFileSync(compiler, [...objects, '-o', binary])
  execFileSync(binary, process.argv.slice(2), { stdio: 'inherit' })
} finally {
  rmSync(out, { recursive: true, force: true })
}
