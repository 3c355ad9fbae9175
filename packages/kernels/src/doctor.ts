import { checkOptionKeys } from '@hass-engine/core'
import type { DeviceRates, GpuFacts } from './addon/addon.js'
import { findCudaLibrary } from './addon/cuda-library.js'
import { loadAddon } from './addon/load-addon.js'
import { openDevice } from './device.js'
import { AddonNotFoundError, CudaUnavailableError } from './errors.js'

export interface DoctorOptions {
  /** Measure bandwidth and rates too, about 0.3 s. Defaults to true. */
  readonly measure?: boolean
  /** Threads to measure with. Defaults to the hardware's. */
  readonly threads?: number
}

/** Whether there can be a `cuda` device, and why not. */
export interface CudaFacts {
  /** Where the library was found; absent if it was not. */
  readonly libraryPath?: string
  /** Its architecture, such as `sm_90` for compute capability 9.0. */
  readonly isa?: string
  readonly gpu?: GpuFacts
  /** What is missing: the library, a driver or a device. */
  readonly error?: CudaUnavailableError
}

/** What this machine and installation can do. */
export interface DoctorFacts {
  readonly platform: string
  /** Where the addon was found; absent if it was not. */
  readonly addonPath?: string
  /** Why the addon could not be loaded, with every path tried. */
  readonly addonError?: AddonNotFoundError
  /** Instruction sets of the addon that this processor has, best last. */
  readonly isas: readonly string[]
  readonly features: readonly string[]
  readonly threads: number
  readonly rates?: DeviceRates
  /** Absent where there is no addon that could load CUDA's library. */
  readonly cuda?: CudaFacts
}

function examineCuda(): CudaFacts {
  let libraryPath: string | undefined
  try {
    libraryPath = findCudaLibrary('cuda')
    const device = openDevice({ kind: 'cuda' })
    const { isa, gpu } = device.facts
    device.dispose()
    return { libraryPath, isa, ...(gpu && { gpu }) }
  } catch (error) {
    if (!(error instanceof CudaUnavailableError)) throw error
    return { ...(libraryPath && { libraryPath }), error }
  }
}

/** Gathers facts for `hass doctor` and bug reports. Never throws because the addon is missing. */
export async function doctor(options: DoctorOptions = {}): Promise<DoctorFacts> {
  checkOptionKeys(options, ['measure', 'threads'], 'doctor')
  const platform = `${process.platform}-${process.arch}`
  try {
    const { addon, path } = loadAddon()
    const { features, threads } = addon.processorFacts()
    const facts = { platform, addonPath: path, isas: addon.isaNames(), features, threads, cuda: examineCuda() }
    if (options.measure === false) return facts
    await using device = openDevice({ kind: 'cpu', threads: options.threads ?? threads })
    return { ...facts, rates: await device.measure() }
  } catch (error) {
    if (!(error instanceof AddonNotFoundError)) throw error
    return { platform, addonError: error, isas: [], features: [], threads: 1 }
  }
}
