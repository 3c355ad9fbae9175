import { describe, expect, it } from 'vitest'
import { AddonNotFoundError } from '../errors.js'
import { addonFunctions, addonVersion } from './addon.js'
import { loadAddon } from './load-addon.js'

/** A `require` that knows only these modules. */
function requireOf(modules: Record<string, unknown>) {
  const require = (id: string) => {
    if (id in modules) return modules[id]
    throw Object.assign(new Error(`Cannot find module '${id}'\nRequire stack: …`), { code: 'MODULE_NOT_FOUND' })
  }
  return Object.assign(require, { resolve: Object.assign((id: string) => `/packages/${id}`, { paths: () => [] }) })
}

const whole = { version: addonVersion, ...Object.fromEntries(addonFunctions.map((name) => [name, () => {}])) }
const prebuilt = `@hass-engine/native-${process.platform}-${process.arch}/hass.node`
const local = '/packages/@hass-engine/native/build/Release/hass.node'

describe('loadAddon', () => {
  it('prefers the override, then the prebuilt package, then the local build', () => {
    const require = requireOf({ '/mine.node': whole, [prebuilt]: whole, [local]: whole })
    expect(loadAddon({ environment: { HASS_NATIVE_PATH: '/mine.node' }, require }).path).toBe('/mine.node')
    expect(loadAddon({ environment: {}, require }).path).toBe(prebuilt)
    expect(loadAddon({ environment: {}, require: requireOf({ [local]: whole }) }).path).toBe(local)
  })

  it('says every path tried, why each failed, and what to do', () => {
    const { isaNames: _, ...lacking } = whole as typeof whole & { isaNames: unknown }
    const require = requireOf({ [prebuilt]: { ...whole, version: 99 }, [local]: lacking })
    let error: unknown
    try {
      loadAddon({ environment: {}, require })
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(AddonNotFoundError)
    const { message, details, code } = error as AddonNotFoundError
    expect(code).toBe('HASS_ERR_ADDON_NOT_FOUND')
    expect(details.attempts).toEqual([
      { path: prebuilt, reason: `has version 99 of the addon's functions, expected ${addonVersion}` },
      { path: local, reason: 'lacks isaNames' },
    ])
    for (const part of [prebuilt, local, 'pnpm --filter @hass-engine/native build', 'HASS_NATIVE_PATH']) {
      expect(message).toContain(part)
    }
  })

  it('tries nothing behind an override that fails', () => {
    const load = () =>
      loadAddon({ environment: { HASS_NATIVE_PATH: '/gone.node' }, require: requireOf({ [local]: whole }) })
    expect(load).toThrow(/\/gone.node: not found/)
  })
})
