// The operations of a GPU under NVIDIA's compute-sanitizer.
import { spawnSync } from 'node:child_process'
import { environment, root, run } from './bootstrap.mjs'

export const sanitizerTools = ['memcheck', 'racecheck', 'initcheck', 'synccheck']

export function hasSanitizer() {
  return spawnSync('compute-sanitizer', ['--version'], { stdio: 'ignore', env: environment }).status === 0
}

/** What a tool finds while every operation is held against the reference device; nothing if all is well. */
export function sanitizerViolations(tool) {
  const suite = [
    'vitest',
    'run',
    'packages/kernels/src/laws.test.ts',
    '--testNamePattern',
    'of cuda agrees',
    '--testTimeout=3600000',
  ]
  const { ok, output } = run('compute-sanitizer', ['--tool', tool, '--target-processes', 'all', ...suite], {
    quiet: true,
    cwd: root,
    env: { HASS_TEST_DEVICES: 'cuda' },
  })
  // One summary for each process that used the GPU; without any, nothing was looked at.
  const summaries = [...output.matchAll(/(?:ERROR|RACECHECK) SUMMARY: (\d+) (?:error|hazard)/g)].map((match) =>
    Number(match[1]),
  )
  return ok && summaries.length > 0 && summaries.every((errors) => errors === 0) ? undefined : output
}
