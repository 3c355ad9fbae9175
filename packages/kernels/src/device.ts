import { checkNumber, checkOptionKeys, DisposedError, InvalidArgumentError, toFloat32 } from '@hass-engine/core'
import type { DeviceRates, GpuFacts } from './addon/addon.js'
import { type CudaKind, explainCudaFailure, findCudaLibrary } from './addon/cuda-library.js'
import { loadAddon } from './addon/load-addon.js'
import { attempt, type Backend, DeviceTensor, elementSize, type TensorLayout } from './device-tensor.js'
import { AddonNotFoundError, CudaUnavailableError, translateBackendError } from './errors.js'
import { fuseGraph } from './graph/fuse.js'
import type { Graph } from './graph/graph.js'
import { recordGraph } from './graph/record.js'
import { prepareWeights, type WeightChunk, type WeightSource } from './packing/prepare.js'
import type { DeviceDType } from './program.js'
import { createProgram, type Program } from './program-run.js'
import { createReferenceAddon } from './reference/reference-addon.js'

export type DeviceKind = 'reference' | 'cpu' | CudaKind

const kinds: readonly string[] = ['auto', 'cpu', 'cuda', 'cuda-emulated', 'reference']

export interface DeviceOptions {
  /**
   * `cuda` is a GPU, `cpu` the native addon, `reference` TypeScript alone; `cuda-emulated` runs the kernels of `cuda` on
   * the CPU, slowly, for tests. `auto` takes `cuda` where it is there and neither threads nor an instruction set are
   * asked for, else `cpu`, and `reference` where the addon cannot be loaded, with the reason in `fallbackReason`.
   * Defaults to `auto`.
   */
  readonly kind?: DeviceKind | 'auto'
  /** Threads of a `cpu` device, 1 to 64. Defaults to the hardware's. */
  readonly threads?: number
  /**
   * Instruction set of a `cpu` device: `auto`, or one of `doctor().isas`. Of a `cuda` device its architecture, such as
   * `sm_90`; of a `cuda-emulated` one the schedule of its threads. Defaults to `auto`.
   */
  readonly isa?: string
  /** Arithmetic of a `reference` device; `float64` is for differentiation tests. Defaults to `float32`. */
  readonly precision?: 'float32' | 'float64'
}

/** What a device is, and what it has done so far. */
export interface DeviceFacts {
  /** Instruction set of its kernels; `typescript` on a reference device. */
  readonly isa: string
  readonly threads: number
  /** Bytes that its buffers and programs hold. */
  readonly memoryBytes: number
  /** Milliseconds that its runs have taken: what is left of a span of time passed outside its kernels. */
  readonly busyMs: number
  /** Of a `cuda` device. */
  readonly gpu?: GpuFacts
}

export interface UploadOptions {
  /** What to keep the elements as. Defaults to what their format maps onto best. */
  readonly dtype?: DeviceDType
  /** `matrix` for what linears and embeddings multiply, `plain` for all else. Defaults to `matrix` for two extents. */
  readonly layout?: TensorLayout
}

export interface CompileOptions {
  /** The device tensors of the graph's weights and states, by their names in the graph. */
  readonly bindings?: Readonly<Record<string, DeviceTensor>>
  /** Replace chains of operations by fused ones of the same bits. Defaults to true. */
  readonly fuse?: boolean
}

/**
 * Opens a device.
 *
 * @throws AddonNotFoundError `HASS_ERR_ADDON_NOT_FOUND` for `cpu` where no addon can be loaded
 * @throws CudaUnavailableError `HASS_ERR_CUDA_UNAVAILABLE` for `cuda` without its library, a driver or a device
 * @throws UnsupportedError `HASS_ERR_UNSUPPORTED` for an instruction set that is not there
 */
export function openDevice(options: DeviceOptions = {}): Device {
  checkOptionKeys(options, ['kind', 'threads', 'isa', 'precision'], 'openDevice')
  const { kind = 'auto', isa = 'auto', precision = 'float32' } = options
  if (!kinds.includes(kind)) {
    const expected = kinds.map((each) => JSON.stringify(each)).join(', ')
    throw new InvalidArgumentError(`kind is ${JSON.stringify(kind)}, expected one of ${expected}.`, { kind })
  }
  if (options.threads !== undefined) checkNumber(options.threads, 'threads', { min: 1, max: 64, isInteger: true })
  if (kind === 'cuda' || kind === 'cuda-emulated') return openCudaDevice(kind, isa)
  let fallbackReason: AddonNotFoundError | undefined
  if (kind !== 'reference') {
    try {
      if (kind === 'auto' && isa === 'auto' && options.threads === undefined) {
        const device = tryCudaDevice()
        if (device) return device
      }
      const { addon } = loadAddon()
      const threads = options.threads ?? Math.min(addon.processorFacts().threads, 64)
      const device = attempt('openDevice', () => addon.createDevice(isa, threads))
      return new Device('cpu', { addon, device, floatBytes: 4 })
    } catch (error) {
      if (kind === 'cpu' || !(error instanceof AddonNotFoundError)) throw error
      fallbackReason = error
    }
  }
  const addon = createReferenceAddon({ precision })
  const device = addon.createDevice('auto', 1)
  return new Device('reference', { addon, device, floatBytes: precision === 'float64' ? 8 : 4 }, fallbackReason)
}

function openCudaDevice(kind: CudaKind, isa: string): Device {
  const path = findCudaLibrary(kind)
  const { addon } = loadAddon()
  try {
    const device = attempt('openDevice', () => addon.createDevice(isa, 1, path))
    return new Device(kind, { addon, device, floatBytes: 4 })
  } catch (error) {
    throw explainCudaFailure(error, path)
  }
}

function tryCudaDevice(): Device | undefined {
  try {
    return openCudaDevice('cuda', 'auto')
  } catch (error) {
    if (error instanceof CudaUnavailableError) return undefined
    throw error
  }
}

/**
 * Memory and threads that run programs. Runs of one device queue and end in the order of the calls, whichever program
 * they are of; nothing of a device may be used from another thread.
 */
export class Device implements AsyncDisposable {
  readonly kind: DeviceKind
  /** Why `auto` gave a `reference` device. */
  readonly fallbackReason: AddonNotFoundError | undefined
  readonly #backend: Backend
  #isDisposed = false

  /** @internal Use `openDevice`. */
  constructor(kind: DeviceKind, backend: Backend, fallbackReason?: AddonNotFoundError) {
    this.kind = kind
    this.fallbackReason = fallbackReason
    this.#backend = backend
  }

  get facts(): DeviceFacts {
    this.#check()
    return attempt('device facts', () => this.#backend.addon.deviceFacts(this.#backend.device))
  }

  /** Measures bandwidth and rates behind the queued runs; about 0.3 s. */
  async measure(): Promise<DeviceRates> {
    this.#check()
    try {
      return await this.#backend.addon.measureDevice(this.#backend.device)
    } catch (error) {
      throw translateBackendError(error, 'device measure')
    }
  }

  /**
   * Copies weights onto the device, converting on the way; several sources are stacked along their rows. What a
   * conversion lost is said in the result's `conversion`.
   *
   * @throws InvalidArgumentError for sources that do not fit together, or bytes of the wrong length
   */
  async upload(source: WeightSource | readonly WeightSource[], options: UploadOptions = {}): Promise<DeviceTensor> {
    this.#check()
    checkOptionKeys(options, ['dtype', 'layout'], 'upload')
    const sources = Array.isArray(source) ? (source as readonly WeightSource[]) : [source as WeightSource]
    const plan = prepareWeights(sources, options.dtype)
    const layout = options.layout ?? (plan.shape.length === 2 ? 'matrix' : 'plain')
    const what = `upload of "${sources[0]!.name}"`
    const tensor = this.#create(what, plan.dtype, plan.shape, layout)
    const { addon } = this.#backend
    const rowBytes = plan.shape
      .slice(1)
      .reduce((product, extent) => product * extent, elementSize(plan.dtype, this.#backend))
    const write = async ({ format, firstRow, numRows, bytes }: WeightChunk): Promise<void> => {
      try {
        if (layout === 'matrix') await addon.writeWeight(tensor.handle, format, firstRow, numRows, bytes)
        else addon.writeBuffer(tensor.handle, firstRow * rowBytes, this.#plainElements(plan.dtype, bytes))
      } catch (error) {
        throw translateBackendError(error, what)
      }
    }
    // While one chunk is being packed the next one is read and converted.
    let writing = Promise.resolve()
    try {
      for await (const chunk of plan.chunks()) {
        this.#check()
        const earlier = writing
        writing = write(chunk)
        // Looked at when it is this one's turn.
        writing.catch(() => {})
        await earlier
      }
      await writing
      tensor.conversion = plan.conversion()
    } catch (error) {
      tensor.dispose()
      throw error
    }
    return tensor
  }

  /** A tensor of zeros for a graph's state, such as a cache `[slots, columns]`. */
  allocate(options: { readonly dtype: DeviceDType; readonly shape: readonly number[] }): DeviceTensor {
    this.#check()
    checkOptionKeys(options, ['dtype', 'shape'], 'allocate')
    return this.#create('allocate', options.dtype, options.shape, 'plain')
  }

  /**
   * Turns a graph into a program of this device.
   *
   * @throws InvalidProgramError `HASS_ERR_INVALID_PROGRAM` for bindings that are missing, or not of the graph's shapes
   */
  compile(graph: Graph, options: CompileOptions = {}): Program {
    this.#check()
    checkOptionKeys(options, ['bindings', 'fuse'], 'compile')
    const nodes = (options.fuse ?? true) ? fuseGraph(graph) : graph.nodes
    return createProgram({
      backend: this.#backend,
      graph,
      recorded: recordGraph(graph, nodes),
      bindings: options.bindings ?? {},
    })
  }

  /** Ends the device's threads; its runs reject with a DisposedError. A second call does nothing. */
  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#backend.addon.dispose(this.#backend.device)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose()
  }

  #create(what: string, dtype: DeviceDType, shape: readonly number[], layout: TensorLayout): DeviceTensor {
    return DeviceTensor.create({ backend: this.#backend, what, dtype, shape, layout })
  }

  /** File bytes as a plain buffer of this device holds them. */
  #plainElements(dtype: DeviceDType, bytes: Uint8Array): ArrayBufferView {
    if (dtype !== 'F32' || this.#backend.floatBytes === 4) return bytes
    return Float64Array.from(toFloat32(bytes, 'F32'))
  }

  #check(): void {
    if (this.#isDisposed) throw new DisposedError('device')
  }
}
