import { describe, expect, it } from 'vitest'
import { addon, codeOf } from './addon-support.js'

/** What each instruction set asks of the processor. */
const needs: Readonly<Record<string, readonly string[]>> = {
  portable: [],
  avx2: ['avx2', 'fma', 'f16c'],
  avx512: ['avx2', 'fma', 'f16c', 'avx512f', 'avx512bw', 'avx512vl', 'avx512vnni'],
  neon: ['neon'],
  'neon-dotprod': ['neon', 'dotprod'],
}

describe('instruction sets', () => {
  const { features } = addon.processorFacts()
  const available = Object.keys(needs).filter((name) => needs[name]?.every((feature) => features.includes(feature)))

  it('are those that the processor has, the best last', () => {
    expect(addon.isaNames()).toEqual(available)
  })

  it.each(Object.keys(needs))('%s gives a device or an error, never a fault', (name) => {
    if (!available.includes(name)) {
      expect(codeOf(() => addon.createDevice(name, 1))).toBe('HASS_ERR_UNSUPPORTED')
      return
    }
    const device = addon.createDevice(name, 1)
    expect(addon.deviceFacts(device).isa).toBe(name)
    addon.dispose(device)
  })
})
