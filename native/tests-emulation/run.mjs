/**
 * Builds and runs the test of the emulation itself, with the system's compiler: lane maps of mma and ldmatrix, and what a
 * block must not do. Twice: with this architecture's own fibers, and with those of ucontext. Fails if one fails.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const native = fileURLToPath(new URL('../', import.meta.url))
const flags = ['-std=c++17', '-O1', '-Wall', '-Wextra', '-Wno-unused-function', '-Wno-unknown-pragmas', '-Iemulation']
const sources = ['device_memory', 'emulation', 'fiber', 'fragments', 'runtime'].map((name) => `emulation/${name}.cc`)

const out = mkdtempSync(join(tmpdir(), 'hass-emulation-'))
try {
  for (const fibers of [[], ['-DHASS_FIBERS_OF_UCONTEXT']]) {
    const binary = join(out, 'lane-maps')
    const args = [...flags, ...fibers, ...sources, 'tests-emulation/lane_maps.cc', '-o', binary]
    execFileSync(process.env.CXX ?? 'c++', args, { cwd: native, stdio: 'inherit' })
    execFileSync(binary, { stdio: 'inherit' })
  }
} finally {
  rmSync(out, { recursive: true, force: true })
}
