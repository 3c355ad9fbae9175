import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { CudaUnavailableError, UnsupportedError } from '../errors.js'
import { type LoadAddonOptions, packageFolder } from './load-addon.js'

/** Devices whose backend is a shared library of its own. `cuda-emulated` runs CUDA's kernels on a CPU, for tests. */
export type CudaKind = 'cuda' | 'cuda-emulated'

const libraries = {
  cuda: { file: 'hass_cuda.so', override: 'HASS_CUDA_PATH', needs: 'nvcc' },
  'cuda-emulated': { file: 'hass_cuda_emulated.so', override: 'HASS_CUDA_EMULATED_PATH', needs: 'the sources' },
} as const

/** cudaErrorInsufficientDriver: no driver at all, or one that is older than the library. */
const insufficientDriver = 35

/**
 * The library of a kind of device: the file that `HASS_CUDA_PATH` (or `HASS_CUDA_EMULATED_PATH`) names, else that of the
 * prebuilt package of this platform, else that of the local build of `@hass-engine/native`.
 *
 * @throws CudaUnavailableError `HASS_ERR_CUDA_UNAVAILABLE` with every path tried and what to do
 */
export function findCudaLibrary(
  kind: CudaKind,
  options: Omit<LoadAddonOptions, 'environment'> & {
    readonly environment?: Readonly<Record<string, string | undefined>>
  } = {},
): string {
  const { environment = process.env, require = createRequire(import.meta.url) } = options
  const { file, override, needs } = libraries[kind]
  const named = environment[override]
  const prebuilt = packageFolder(`@hass-engine/native-cuda-${process.platform}-${process.arch}`, require)
  const local = packageFolder('@hass-engine/native', require)
  const paths = named ? [named] : [join(prebuilt, file), join(local, 'build', 'Release', file)]
  const found = paths.find((path) => existsSync(path))
  if (found) return found
  const attempts = paths.map((path) => ({ path, reason: 'not found' }))
  const list = paths.map((path) => `  ${path}: not found`).join('\n')
  throw new CudaUnavailableError(
    `There is no library for a ${kind} device. Tried:\n${list}\nBuild it with "pnpm --filter @hass-engine/native build" (needs ${needs}), or set ${override}, or open the device { kind: 'cpu' }.`,
    { lacks: 'library', attempts, platform: `${process.platform}-${process.arch}` },
  )
}

/** What is missing, where opening a device of the library at `path` failed because something is. */
export function explainCudaFailure(error: unknown, path: string): unknown {
  if (!(error instanceof UnsupportedError)) return error
  const { value } = error.details
  if (/^openDevice: The library/.test(error.message)) {
    const attempts = [{ path, reason: error.message }]
    return new CudaUnavailableError(`${error.message} (${path})`, { lacks: 'library', attempts }, error)
  }
  if (typeof value !== 'number') return error
  const lacks = value === insufficientDriver ? 'driver' : 'device'
  return new CudaUnavailableError(
    `${error.message} Install NVIDIA's driver and look at "nvidia-smi", or open the device { kind: 'cpu' }.`,
    { lacks, cudaError: value },
    error,
  )
}
