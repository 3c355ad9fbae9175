import { afterAll, describe, expect, it } from 'vitest'
import { drawn } from './combinations.js'
import { factors, Law } from './law.js'

describe('speculation changes the speed and nothing else, in thousands of circumstances', () => {
  const law = new Law()
  afterAll(() => law.dispose())

  it.each(factors.device)('on %s', async (device) => {
    for (const lawCase of drawn({ ...factors, device: [device] as const }, 1000, factors.device.indexOf(device))) {
      expect({ lawCase, differs: await law.check(lawCase) }).toEqual({ lawCase, differs: [] })
    }
  })
})
