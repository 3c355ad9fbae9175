import { afterAll, describe, expect, it } from 'vitest'
import { drawn } from './combinations.js'
import { factors, Law } from './law.js'

describe('speculation changes the speed and nothing else', () => {
  const law = new Law()
  afterAll(() => law.dispose())

  it('on the reference device', async () => {
    for (const lawCase of drawn({ ...factors, device: ['reference'] as const }, 24, 4)) {
      expect({ lawCase, differs: await law.check(lawCase) }).toEqual({ lawCase, differs: [] })
    }
  }, 300_000)
})
