import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { findCudaLibrary } from './addon/cuda-library.js'
import { doctor } from './doctor.js'
import { cpuIsas, nativeKinds } from './testing/devices.js'

afterEach(() => vi.unstubAllEnvs())

describe.runIf(cpuIsas.length > 0)('what doctor says of CUDA', () => {
  it('names the library that is missing', async () => {
    vi.stubEnv('HASS_CUDA_PATH', '/nowhere/hass_cuda.so')
    const { cuda } = await doctor({ measure: false })
    expect(cuda).toMatchObject({ error: { code: 'HASS_ERR_CUDA_UNAVAILABLE', details: { lacks: 'library' } } })
    expect(cuda!.error!.message).toContain('/nowhere/hass_cuda.so')
    expect(cuda!.libraryPath).toBeUndefined()
  })

  it('names a library that is none', async () => {
    const path = fileURLToPath(import.meta.url)
    vi.stubEnv('HASS_CUDA_PATH', path)
    const { cuda } = await doctor({ measure: false })
    expect(cuda).toMatchObject({ libraryPath: path, error: { details: { lacks: 'library' } } })
  })

  it.runIf(nativeKinds.includes('cuda-emulated'))('says what a device is, where a library has one', async () => {
    const path = findCudaLibrary('cuda-emulated')
    vi.stubEnv('HASS_CUDA_PATH', path)
    const { cuda } = await doctor({ measure: false })
    // What is emulated is no GPU with a name and a memory of its own.
    expect(cuda).toEqual({ libraryPath: path, isa: 'warp-greedy-eager-forward' })
  })
})
