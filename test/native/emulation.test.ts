import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const script = fileURLToPath(new URL('../../native/tests-emulation/run.mjs', import.meta.url))

it('the emulated GPU has the lane maps of a real one, and notices what a block must not do', {
  timeout: 300_000,
}, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(stdout).toBe('lane maps and meetings are right\n'.repeat(2))
  expect(status).toBe(0)
})
