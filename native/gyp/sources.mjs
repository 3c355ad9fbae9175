// The source files of one part of the addon, for binding.gyp and the sanitizer builds: `node sources.mjs PART`.
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { instructionSets } from './instruction-sets.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))

function filesIn(folder, ending = '.cc') {
  return readdirSync(`${root}${folder}`)
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => `${folder}/${name}`)
}

/** What of the CPU's runtime a backend in a library of its own has, too: it knows no device. */
const sharedRuntime = [
  'arena',
  'backend_checks',
  'failure',
  'index_checks',
  'memory',
  'operation_rules',
  'operation_stages',
  'program',
  'program_plan',
  'training_stages',
]
const sharedFiles = sharedRuntime.map((name) => `runtime/${name}.cc`)
const sharedKernels = ['cpu/extents.cc', 'cpu/packing.cc', 'cpu/training_extents.cc']

/** Files with flags of their own, by instruction set. */
const special = Object.fromEntries(Object.keys(instructionSets).map((name) => [name, `cpu/kernels_${name}.cc`]))

/**
 * Paths relative to the package, by part: `cpu`, of which `kernels` takes the common flags and each instruction set its
 * own; `runtime`, of which `shared-runtime` is every backend's; `host` (runtime and binding); `addon`, the host without
 * what is shared; `cuda`, for nvcc; `emulation`, its counterpart for a C++ compiler, which includes the kernels and
 * links what is shared. Without the folders of the last two, which need not be there, they have no files.
 */
export function sourcesOf(part) {
  if (part in special) return [special[part]]
  switch (part) {
    case 'cpu':
      return filesIn('cpu')
    case 'kernels':
      return filesIn('cpu').filter((file) => !Object.values(special).includes(file))
    case 'runtime':
      return filesIn('runtime')
    case 'shared-runtime':
      return sharedFiles
    case 'addon':
      return sourcesOf('host').filter((file) => !sharedFiles.includes(file))
    case 'host':
      return [...filesIn('runtime'), ...filesIn('binding')]
    case 'cuda':
      return existsSync(`${root}cuda`)
        ? [...filesIn('cuda'), ...filesIn('cuda', '.cu'), ...sharedFiles, ...sharedKernels]
        : []
    case 'emulation': {
      if (!existsSync(`${root}emulation`)) return []
      const host = filesIn('cuda').filter((file) => file !== 'cuda/architecture.cc')
      return [...host, ...filesIn('emulation')]
    }
    default:
      throw new Error(`No part "${part}"`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const file of sourcesOf(process.argv[2])) console.log(`../${file}`)
}
