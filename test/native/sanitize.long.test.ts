import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const script = fileURLToPath(new URL('../../native/scripts/sanitize.mjs', import.meta.url))

const runs = [
  ['the runtime is free of races under ThreadSanitizer', ['thread', '--long']],
  ['the runtime is clean under AddressSanitizer, for longer', ['address', '--long']],
  ['the addon is clean under AddressSanitizer in Node', ['address', '--addon']],
] as const

for (const [name, args] of runs) {
  it(name, { timeout: 3_600_000 }, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' })
    expect(status, `${stdout}${stderr}`).toBe(0)
    expect(stdout).toContain(': no findings')
  })
}
