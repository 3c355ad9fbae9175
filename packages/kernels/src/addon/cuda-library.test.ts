import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { openDevice } from '../device.js'
import { CudaUnavailableError } from '../errors.js'
import { nativeKinds } from '../testing/devices.js'
import { findCudaLibrary } from './cuda-library.js'
import { loadAddon } from './load-addon.js'

const folder = mkdtempSync(join(tmpdir(), 'hass-cuda-library-'))
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => vi.unstubAllEnvs())

/** What opening a device throws. */
function failureOf(kind: 'cuda' | 'cuda-emulated'): CudaUnavailableError {
  try {
    openDevice({ kind }).dispose()
  } catch (error) {
    if (error instanceof CudaUnavailableError) return error
    throw error
  }
  throw new Error('A device was opened.')
}

function hasGpu(): boolean {
  try {
    openDevice({ kind: 'cuda' }).dispose()
    return true
  } catch {
    return false
  }
}

describe('a CUDA device that cannot be', () => {
  it('says every path that was tried for its library', () => {
    vi.stubEnv('HASS_CUDA_PATH', join(folder, 'none.so'))
    const { code, details, message } = failureOf('cuda')
    expect(code).toBe('HASS_ERR_CUDA_UNAVAILABLE')
    expect(details.lacks).toBe('library')
    expect(details.attempts).toEqual([{ path: join(folder, 'none.so'), reason: 'not found' }])
    for (const part of [join(folder, 'none.so'), 'HASS_CUDA_PATH', "kind: 'cpu'"]) expect(message).toContain(part)
  })

  it('says why a library is none', () => {
    const path = join(folder, 'text.so')
    writeFileSync(path, 'no library')
    vi.stubEnv('HASS_CUDA_PATH', path)
    const { details, message } = failureOf('cuda')
    expect(details.lacks).toBe('library')
    expect(message).toContain(path)
  })

  it('refuses a library that is no backend', () => {
    // An addon is a library, but not one of these.
    const path = join(folder, 'addon.so')
    copyFileSync(loadAddon().path, path)
    vi.stubEnv('HASS_CUDA_PATH', path)
    expect(failureOf('cuda').message).toContain('no hass_backend_entry')
  })

  it.skipIf(hasGpu())('says what is missing: the library, the driver or the device', () => {
    const { details } = failureOf('cuda')
    expect(['library', 'driver', 'device']).toContain(details.lacks)
    if (details.lacks !== 'library') expect(details.cudaError).toBeGreaterThan(0)
  })

  it.skipIf(hasGpu() || !nativeKinds.includes('cpu'))('leaves auto the CPU', async () => {
    await using device = openDevice()
    expect(device.kind).toBe('cpu')
    expect(device.fallbackReason).toBeUndefined()
  })
})

it('prefers the prebuilt package to the local build', () => {
  const require = Object.assign(() => {}, {
    resolve: Object.assign((id: string) => join(folder, id), { paths: () => [] }),
  })
  expect(() => findCudaLibrary('cuda', { environment: {}, require })).toThrow(
    new RegExp(`native-cuda-${process.platform}-${process.arch}.hass_cuda.so: not found\\n.*native.build.Release`, 's'),
  )
})
