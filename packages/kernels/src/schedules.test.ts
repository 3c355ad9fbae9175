import { afterAll, describe, expect, it } from 'vitest'
import { openDevice } from './device.js'
import { UnsupportedError } from './errors.js'
import { nativeKinds } from './testing/devices.js'
import { checkAgreement, scenariosFor } from './testing/laws.js'
import { Random } from './testing/random.js'
import { createScenarios, createTiledScenarios } from './testing/scenarios.js'

const schedules = ['lockstep', 'warp-greedy'].flatMap((pace) =>
  ['deferred', 'eager'].flatMap((copies) =>
    ['forward', 'reverse', 'random'].map((order) => `${pace}-${copies}-${order}`),
  ),
)

describe.runIf(nativeKinds.includes('cuda-emulated'))('threads of cuda-emulated', () => {
  const first = openDevice({ kind: 'cuda-emulated', isa: schedules[0]! })
  afterAll(() => first.dispose())

  it.each(schedules.slice(1))('give the same bits under the schedule %s', async (isa) => {
    await using device = openDevice({ kind: 'cuda-emulated', isa })
    expect(device.facts.isa).toBe(isa)
    const random = new Random(11)
    for (const scenario of scenariosFor(device, [...createScenarios(random), ...createTiledScenarios(random)])) {
      // Even floats: nothing but the schedule is different.
      expect(await checkAgreement(device, first, { ...scenario, isExact: true })).toEqual([])
    }
  })

  it('have no other schedules', () => {
    expect(() => openDevice({ kind: 'cuda-emulated', isa: 'avx2' })).toThrow(UnsupportedError)
  })
})
