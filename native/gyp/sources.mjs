// The source files of one part of the addon, for binding.gyp and the sanitizer builds: `node sources.mjs PART`.
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { instructionSets } from './instruction-sets.mjs'

const root = fileURLToPath(new URL('../', import.meta.url))

function filesIn(folder) {
  return readdirSync(`${root}${folder}`)
    .filter((name) => name.endsWith('.cc'))
    .sort()
    .map((name) => `${folder}/${name}`)
}

/** Files with flags of their own, by instruction set. */
const special = Object.fromEntries(Object.keys(instructionSets).map((name) => [name, `cpu/kernels_${name}.cc`]))

/**
 * Paths relative to the package, by part: `cpu`, of which `kernels` takes the common flags and each instruction set its
 * own; `runtime`; `host` (runtime and binding).
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
    case 'host':
      return [...filesIn('runtime'), ...filesIn('binding')]
    default:
      throw new Error(`No part "${part}"`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const file of sourcesOf(process.argv[2])) console.log(`../${file}`)
}
