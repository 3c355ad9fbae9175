// Runs after the package has been installed. Builds the addon from its sources unless it is there already; a machine
// without a compiler keeps working on the reference backend, and the loader says what to do.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** Tests are not published: where they are, the workspace's own build takes care. */
const isCheckout = existsSync(join(root, 'tests-runtime'))

function isUsable() {
  try {
    createRequire(import.meta.url)(join(root, 'build', 'Release', 'hass.node'))
    return true
  } catch {
    return false
  }
}

if (!isCheckout && !isUsable()) {
  // On failure build.mjs would end the process with an error, and the installation with it.
  process.on('exit', (code) => {
    if (code === 0) return
    console.warn('@hass-engine/native: the addon could not be built (a C++17 compiler, make and Python are needed).')
    console.warn('Build it later with "node gyp/build.mjs" in the folder of this package.')
    process.exitCode = 0
  })
  await import('./build.mjs')
}
