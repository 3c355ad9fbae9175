// The source files of one part of the addon, for binding.gyp and the sanitizer builds: `node sources.mjs PART`.
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
/** Files that are compiled with flags of their own, by instruction set. */
const isaOf = { avx2: /_avx2\.cc$/ }

function filesIn(folder) {
  return readdirSync(`${root}${folder}`)
    .filter((name) => name.endsWith('.cc'))
    .sort()
    .map((name) => `${folder}/${name}`)
}

const isSpecial = (file) => Object.values(isaOf).some((pattern) => pattern.test(file))

/** Paths relative to the package, by part: `kernels`, `avx2`, `runtime`, `host` (runtime and binding). */
export function sourcesOf(part) {
  switch (part) {
    case 'kernels':
      return filesIn('cpu').filter((file) => !isSpecial(file))
    case 'avx2':
      return filesIn('cpu').filter((file) => isaOf.avx2.test(file))
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
