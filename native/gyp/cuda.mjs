// The CUDA library. `node cuda.mjs probe` prints `yes` where nvcc can build it, else `no`;
// `node cuda.mjs build FILE` builds it. HASS_NVCC names another nvcc; HASS_CUDA_ARCHITECTURES (such as "80,90,120") the
// architectures that get machine code of their own. PTX of the first one is always there: newer GPUs compile it.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sourcesOf } from './sources.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))

export const nvcc = process.env.HASS_NVCC ?? 'nvcc'

/** -fmad=false is part of the arithmetic (NUMERICS.md), as -ffp-contract=off is on the host's side. */
export const nvccFlags = ['-std=c++17', '-O3', '-fmad=false', '-diag-suppress=177', '-x', 'cu']
const hostFlags = ['-Xcompiler', '-fPIC,-ffp-contract=off,-fvisibility=hidden,-O2']

export function hasNvcc() {
  return sourcesOf('cuda').length > 0 && spawnSync(nvcc, ['--version'], { stdio: 'ignore' }).status === 0
}

function architectureFlags() {
  const [oldest, ...others] = (process.env.HASS_CUDA_ARCHITECTURES ?? '80').split(',')
  const machineCode = [oldest, ...others].map((arch) => `-gencode=arch=compute_${arch},code=sm_${arch}`)
  return [...machineCode, `-gencode=arch=compute_${oldest},code=compute_${oldest}`]
}

function run(args) {
  return new Promise((settle, reject) => {
    const child = spawn(nvcc, args, { stdio: 'inherit', cwd: root })
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? settle() : reject(new Error(`${nvcc} ended with ${code}.`))))
  })
}

async function build(target) {
  const folder = mkdtempSync(join(tmpdir(), 'hass-cuda-'))
  try {
    const queue = sourcesOf('cuda').map((file) => ({ file, object: join(folder, `${basename(file)}.o`) }))
    const objects = queue.map(({ object }) => object)
    const compileAll = async () => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        await run([...nvccFlags, ...architectureFlags(), ...hostFlags, '-c', next.file, '-o', next.object])
      }
    }
    await Promise.all(Array.from({ length: availableParallelism() }, compileAll))
    await run(['-shared', '-cudart', 'static', ...architectureFlags(), ...objects, '-o', `${target}.new`])
    renameSync(`${target}.new`, target)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [verb, target] = process.argv.slice(2)
  if (verb === 'build') await build(target)
  else console.log(hasNvcc() ? 'yes' : 'no')
}
