/**
 * What the compiler says of the CUDA kernels, for machines without a GPU. Needs nvcc; without it, says so and ends with 3.
 *
 *   node cuda-static.mjs                    gates: fails if a kernel spills, keeps local memory, takes more registers or
 *                                           shared memory than is stated beside it, or lacks an instruction that it is for
 *   node cuda-static.mjs --document FILE    the same, and writes docs/results/cuda-static.md
 *   --architectures 80,90,120               whose machine code is looked at; releases add 86, 89, 100
 *
 * Machine code is read where there is nvdisasm (HASS_NVDISASM names one), PTX in any case.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { hasNvcc, nvcc } from '../gyp/cuda.mjs'
import { compiledKernels, hasNvdisasm, kernelFiles } from './cuda-static/compiled-kernels.mjs'
import { formatDocument } from './cuda-static/document.mjs'
import { ceilingOf, flawsOf, statedCeilings } from './cuda-static/gates.mjs'
import { collectLaunches, largestLaunches } from './cuda-static/tables.mjs'

const { values: options } = parseArgs({
  options: { document: { type: 'string' }, architectures: { type: 'string', default: '80,90,120' } },
})
const architectures = options.architectures.split(',').map(Number)

async function compileAll() {
  const queue = kernelFiles.flatMap((file) => architectures.map((architecture) => ({ file, architecture })))
  const kernels = []
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      kernels.push(...(await compiledKernels(next.file, next.architecture)))
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work))
  return kernels
}

if (hasNvcc()) {
  const [kernels, launches] = [await compileAll(), collectLaunches()]
  const largest = largestLaunches(launches)
  const ceilings = new Map(kernelFiles.flatMap((file) => [...statedCeilings(file)]))
  const flaws = kernels.flatMap((kernel) => flawsOf(kernel, ceilingOf(ceilings, kernel), largest.get(kernel.name)))
  for (const flaw of flaws) console.log(`FAILED: ${flaw}`)
  const read = hasNvdisasm ? 'PTX and machine code' : 'PTX (no nvdisasm)'
  console.log(`${kernels.length} kernels on sm_${architectures.join(', sm_')}, ${read}: ${flaws.length} flaws`)
  if (options.document) {
    const [version] = /release [\d.]+/.exec(execFileSync(nvcc, ['--version'], { encoding: 'utf8' }))
    writeFileSync(options.document, formatDocument({ kernels, launches, architectures, compiler: `nvcc ${version}` }))
  }
  process.exitCode = flaws.length === 0 && kernels.length > 0 ? 0 : 1
} else {
  console.log(`Nothing was checked: ${nvcc} is not there.`)
  process.exitCode = 3
}
