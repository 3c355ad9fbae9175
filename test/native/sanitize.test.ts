import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const script = fileURLToPath(new URL('../../native/scripts/sanitize.mjs', import.meta.url))

// The first time it compiles the kernels with every check in them.
it('the runtime is clean under AddressSanitizer and UndefinedBehaviorSanitizer', { timeout: 900_000 }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, 'address'], { encoding: 'utf8' })
  expect(status, `${stdout}${stderr}`).toBe(0)
  expect(stdout).toMatch(/^[1-9]\d* passed, 0 failed$/m)
  expect(stdout).toContain('address: no findings')
})
