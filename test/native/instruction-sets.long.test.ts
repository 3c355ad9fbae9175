import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const script = fileURLToPath(new URL('../../native/tests/run.mjs', import.meta.url))
const { platforms } = (await import(new URL('../../native/tests/platforms.mjs', import.meta.url).href)) as {
  platforms: Record<string, { missing(): string | undefined }>
}

/** Kernels for other processors than this one, held to the bits of the portable ones. */
describe.each([
  ['simde', 'the AVX-512 kernels, emulated'],
  ['aarch64', 'the kernels for AArch64, emulated'],
])('%s', (platform, name) => {
  const missing = platforms[platform]?.missing()
  const suffix = missing === undefined ? '' : ` (skipped: this needs ${missing})`

  it.skipIf(missing !== undefined)(`${name}, pass the suite of the kernels${suffix}`, { timeout: 3_600_000 }, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, `--${platform}`], { encoding: 'utf8' })
    expect(status, `${stdout}${stderr}`).toBe(0)
    expect(stdout).toMatch(/^[1-9]\d* passed, 0 failed$/m)
  })
})
