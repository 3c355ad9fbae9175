import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { openDevice } from './device.js'
import { listCudaMutants, MutantBuilder } from './testing/cuda-mutants.js'
import { nativeKinds } from './testing/devices.js'
import { checkAgreement, checkRowInvariance } from './testing/laws.js'
import { Random } from './testing/random.js'
import type { Scenario } from './testing/scenario.js'
import { createScenarios, createTiledScenarios } from './testing/scenarios.js'

const folder = mkdtempSync(join(tmpdir(), 'hass-cuda-mutants-'))
const builder = new MutantBuilder(folder)
const reference = openDevice({ kind: 'reference' })
afterAll(() => {
  reference.dispose()
  rmSync(folder, { recursive: true, force: true })
})
afterEach(() => vi.unstubAllEnvs())

/** What the kernels of a file compute. */
const concerns: Readonly<Record<string, RegExp>> = {
  'attention.cu': /^treeAttention/,
  'choice.cu': /^(argMax|gumbel)/,
  'linear.cu': /^(linear .*activations (16|32)|embedding)/,
  'linear_float.cu': /activations 0/,
  'linear_quantized.cu': /activations (16|32)/,
  'linear_tiles.h': /^linear/,
  'rows.cu': /^(rmsNorm|add|qkv|cacheWrite)/,
}

/** Of those that leave much open the ones that show the most of it first. */
const schedules = ['lockstep', 'warp-greedy'].flatMap((pace) =>
  ['eager', 'deferred'].flatMap((copies) =>
    ['reverse', 'random', 'forward'].map((order) => `${pace}-${copies}-${order}`),
  ),
)

async function isCaught(scenarios: readonly Scenario[], isas: readonly string[] = schedules): Promise<boolean> {
  for (const isa of isas) {
    await using device = openDevice({ kind: 'cuda-emulated', isa })
    for (const scenario of scenarios) {
      try {
        if ((await checkAgreement(device, reference, scenario)).length > 0) return true
      } catch {
        // Threads that wait in vain fail the run.
        return true
      }
    }
  }
  // What no result shows yet may let a hostile row into its neighbours.
  await using device = openDevice({ kind: 'cuda-emulated' })
  for (const scenario of scenarios) {
    if ((await checkRowInvariance(device, scenario, new Random(3))).length > 0) return true
  }
  return false
}

describe.runIf(nativeKinds.includes('cuda-emulated'))('faults in CUDA kernels', () => {
  beforeAll(() => builder.prepare(), 1_800_000)

  it('are not seen where there is none', async () => {
    const random = new Random(11)
    const all = [...createScenarios(random), ...createTiledScenarios(random)]
    vi.stubEnv('HASS_CUDA_EMULATED_PATH', await builder.build())
    const inference = all.filter(({ isTraining }) => !isTraining)
    expect(await isCaught(inference, [schedules[0]!, schedules.at(-1)!])).toBe(false)
  })

  it.each(listCudaMutants().map((mutant) => [mutant.name, mutant] as const))('%s', async (_, mutant) => {
    const random = new Random(11)
    const all = [...createScenarios(random), ...createTiledScenarios(random)]
    vi.stubEnv('HASS_CUDA_EMULATED_PATH', await builder.build(mutant))
    const scenarios = all.filter(({ name, isTraining }) => !isTraining && concerns[mutant.file]!.test(name))
    expect(scenarios.length).toBeGreaterThan(0)
    expect(await isCaught(scenarios)).toBe(true)
  })
})
