import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('../../native/scripts/cuda-static.mjs', import.meta.url))

/** What is wrong with the machine code of CUDA's kernels, or why nothing could be looked at. */
export function checkGates(architectures: string): { reason?: string; problems: string } {
  const args = [script, '--architectures', architectures]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  if (status === 3) return { reason: stdout.trim(), problems: '' }
  const isClean = status === 0 && /^[1-9]\d* kernels on .*: 0 flaws$/m.test(stdout)
  return { problems: isClean ? '' : `${stdout}${stderr}` || `status ${status}` }
}
