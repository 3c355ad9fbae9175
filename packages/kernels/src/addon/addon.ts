/** Names a device, buffer, weight or program: a positive safe integer, never reused. */
export type Handle = number

/** Rates of a device, measured with all its threads. */
export interface DeviceRates {
  /** Main-memory read bandwidth, 10^9 bytes a second. */
  readonly readGBs: number
  /** Multiply-accumulates with packed 8-bit weights, 10^9 a second. */
  readonly int8GMACs: number
  /** Multiply-accumulates in float32, 10^9 a second. */
  readonly fp32GMACs: number
  /** Multiply-accumulates with packed 4-bit weights, 10^9 a second. */
  readonly q4GMACs: number
  /** One empty parallel region, microseconds. */
  readonly dispatchUs: number
}

/** What a GPU is. */
export interface GpuFacts {
  /** As its maker calls it. */
  readonly name: string
  /** The newest CUDA that its driver has, such as 13000 for 13.0. */
  readonly driver: number
  /** All of its memory, used or not. */
  readonly memoryBytes: number
}

/**
 * The functions of a backend, as native/README.md describes them: the native addon's exports, and what the reference
 * backend implements in TypeScript. What is wrong is thrown as a `BackendError`.
 */
export interface Addon {
  /** Of this list. */
  readonly version: number
  isaNames(): string[]
  processorFacts(): { features: string[]; threads: number }
  /** `library`: the path of a backend in a shared library; the CPU's is built in. */
  createDevice(isa: string, threads: number, library?: string): Handle
  /** `gpu` is there for a GPU alone. */
  deviceFacts(device: Handle): {
    isa: string
    threads: number
    memoryBytes: number
    busyMs: number
    gpu?: GpuFacts
  }
  measureDevice(device: Handle): Promise<DeviceRates>
  createBuffer(device: Handle, bytes: number): Handle
  createWeight(device: Handle, dtype: number, rows: number, columns: number): Handle
  bufferFacts(buffer: Handle): { bytes: number; dtype: number; rows: number; columns: number }
  writeBuffer(buffer: Handle, byteOffset: number, source: ArrayBufferView): void
  readBuffer(buffer: Handle, byteOffset: number, target: ArrayBufferView): void
  writeWeight(
    weight: Handle,
    format: string,
    firstRow: number,
    numRows: number,
    source: ArrayBufferView,
  ): Promise<undefined>
  createProgram(device: Handle, words: Int32Array, bindings: Float64Array): Handle
  programFacts(program: Handle): { parameterBytes: number; arenaBytes: number; inputOffsets: Float64Array }
  runProgram(program: Handle, dims: Int32Array, parameters: Uint8Array, runId: number): Promise<undefined>
  cancelRun(device: Handle, runId: number): void
  readOutput(program: Handle, tensor: number, firstElement: number, target: ArrayBufferView): void
  dispose(handle: Handle): void
  /** Tests only: the countdown-th native allocation from now fails once. */
  failAllocation(countdown: number): void
}

/** Version of the list of functions that this package speaks. */
export const addonVersion = 2

/** Names of the exports that a loaded addon must have. */
export const addonFunctions = [
  'isaNames',
  'processorFacts',
  'createDevice',
  'deviceFacts',
  'measureDevice',
  'createBuffer',
  'createWeight',
  'bufferFacts',
  'writeBuffer',
  'readBuffer',
  'writeWeight',
  'createProgram',
  'programFacts',
  'runProgram',
  'cancelRun',
  'readOutput',
  'dispose',
  'failAllocation',
] as const satisfies readonly Exclude<keyof Addon, 'version'>[]
