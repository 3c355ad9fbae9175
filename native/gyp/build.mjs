// Builds build/Release/hass.node with node-gyp, and beside it the CUDA library where there is nvcc, and the emulated one
// where its sources are. A second run compiles what has changed.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, realpathSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = dirname(fileURLToPath(import.meta.url))
const release = join(folder, '..', 'build', 'Release')

/** Where Node's headers lie beside the running executable; node-gyp downloads them only if they do not. */
function localHeaders() {
  const prefix = dirname(dirname(realpathSync(process.execPath)))
  return existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : []
}

function nodeGyp(...args) {
  const script = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js')
  const { status, error } = spawnSync(process.execPath, [script, ...args, ...localHeaders()], {
    cwd: folder,
    stdio: 'inherit',
  })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}

nodeGyp('configure', '--loglevel=error')
nodeGyp('build', `--jobs=${availableParallelism()}`, '--loglevel=error')
mkdirSync(release, { recursive: true })
// node-gyp gives every module the same ending; one that Node must not load as an addon has another.
const products = {
  'hass.node': 'hass.node',
  'hass_cuda.so': 'hass_cuda.so',
  'hass_cuda_emulated.node': 'hass_cuda_emulated.so',
}
for (const [name, published] of Object.entries(products)) {
  const [built, target] = [join(folder, 'build', 'Release', name), join(release, published)]
  if (!existsSync(built)) continue
  // A process that has the old file open keeps it.
  copyFileSync(built, `${target}.new`)
  renameSync(`${target}.new`, target)
}
