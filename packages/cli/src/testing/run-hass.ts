import { type ChildProcessByStdio, spawn } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

/** `hass` from the sources, in a process of its own. */
export function spawnHass(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): ChildProcessByStdio<Writable, Readable, Readable> {
  return spawn(process.execPath, ['--import', import.meta.resolve('tsx'), path('../hass.ts'), ...args], {
    env: { ...process.env, TSX_TSCONFIG_PATH: path('../../../../tsconfig.json'), ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}
