import { checkNumber, checkOptionKeys, DisposedError, InvalidArgumentError } from '@hass-engine/core'
import type { Handle } from './addon/addon.js'
import { attempt, type Backend, type DeviceTensor } from './device-tensor.js'
import { InvalidProgramError, translateBackendError } from './errors.js'
import type { Graph } from './graph/graph.js'
import type { GraphTensor } from './graph/graph-tensor.js'
import type { RecordedGraph } from './graph/record.js'
import { operationByOpcode } from './operations/index.js'
import { type DeviceDType, encodeProgram, type ProgramDescription, TensorKind } from './program.js'

/**
 * Elements of an input or output: `F32` Float32Array (Float64Array on a float64 device), `U32` Uint32Array, `I32`
 * Int32Array, `F16` and `BF16` Uint16Array.
 */
export type InputData = Float32Array | Float64Array | Uint32Array | Int32Array | Uint16Array

export interface RunOptions {
  /** Elements by the names of the graph's inputs; all of them. */
  readonly inputs: Readonly<Record<string, InputData>>
  /** Sizes of dimensions that no input of one free extent tells. */
  readonly dims?: Readonly<Record<string, number>>
  /** Ends the run between two operations; it rejects with `signal.reason`. States may have been written by then. */
  readonly signal?: AbortSignal
}

/** An output of the last run, on the device. Valid until the next run of its program is asked for. */
export interface OutputHandle {
  readonly dtype: DeviceDType
  readonly shape: readonly number[]
  /** `[shape[1]]`, a copy of one row. */
  read(row: number): InputData
  /** All elements, a copy. */
  readAll(): InputData
}

export type RunOutputs = Readonly<Record<string, OutputHandle>>

interface ProgramParts {
  readonly backend: Backend
  readonly graph: Graph
  readonly recorded: RecordedGraph
  readonly bindings: Readonly<Record<string, DeviceTensor>>
}

interface InputPlace {
  readonly tensor: GraphTensor
  readonly offset: number
}

/** @internal Checks the bindings and hands the program to the backend. */
export function createProgram(parts: ProgramParts): Program {
  const { backend, recorded } = parts
  const handles = bindHandles(parts)
  const words = encodeProgram(recorded.program)
  return new Program(
    parts,
    attempt(`compile of "${parts.graph.name}"`, () => backend.addon.createProgram(backend.device, words, handles)),
  )
}

let lastRunId = 0

/** A compiled graph. Runs queue on the device in the order of the calls. */
export class Program implements AsyncDisposable {
  readonly name: string
  /** Operations that one run executes, after fusing. */
  readonly numOperations: number
  readonly #parts: ProgramParts
  readonly #handle: Handle
  readonly #inputs: ReadonlyMap<string, InputPlace>
  readonly #parameters: Uint8Array
  #generation = 0
  #isDisposed = false

  /** @internal Use `device.compile`. */
  constructor(parts: ProgramParts, handle: Handle) {
    this.name = parts.graph.name
    this.numOperations = parts.recorded.program.operations.length
    this.#parts = parts
    this.#handle = handle
    const { parameterBytes, inputOffsets } = parts.backend.addon.programFacts(handle)
    this.#parameters = new Uint8Array(parameterBytes)
    const { tensors } = parts.recorded
    this.#inputs = new Map(
      tensors.flatMap((tensor, i) =>
        tensor.kind === TensorKind.INPUT ? [[tensor.name, { tensor, offset: inputOffsets[i]! }]] : [],
      ),
    )
  }

  /** Bytes of activations that runs of this program use. */
  get arenaBytes(): number {
    return this.#parts.backend.addon.programFacts(this.#live).arenaBytes
  }

  /**
   * Runs the program once. Inputs are copied before this returns, so their arrays may be filled anew at once.
   *
   * @throws InvalidArgumentError for inputs that are missing, unknown, detached or of the wrong length
   * @throws InvalidInputError `HASS_ERR_INVALID_INPUT` for values that an operation refuses, such as a token beyond
   *   the vocabulary
   */
  async run(options: RunOptions): Promise<RunOutputs> {
    checkOptionKeys(options, ['inputs', 'dims', 'signal'], 'run')
    const { inputs, signal } = options
    const handle = this.#live
    signal?.throwIfAborted()
    const sizes = this.#bindDimensions(inputs, options.dims ?? {})
    this.#fillParameters(inputs, sizes)
    const generation = ++this.#generation
    const { addon, device } = this.#parts.backend
    const what = `run of "${this.name}"`
    const runId = ++lastRunId
    const cancel = () => addon.cancelRun(device, runId)
    try {
      const promise = attempt(what, () => addon.runProgram(handle, sizes, this.#parameters, runId))
      signal?.addEventListener('abort', cancel, { once: true })
      await promise
      // A run that was quicker than its cancellation still rejects: what an aborted signal means shall not be a race.
      signal?.throwIfAborted()
    } catch (error) {
      const isCancelled = (error as { code?: unknown })?.code === 'HASS_ERR_CANCELLED'
      if (signal?.aborted && (isCancelled || error === signal.reason)) throw signal.reason
      throw translateBackendError(error, what)
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
    return this.#outputs(sizes, generation)
  }

  /** Frees the program once its last run has ended. A second call does nothing. */
  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#parts.backend.addon.dispose(this.#handle)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose()
  }

  get #live(): Handle {
    if (this.#isDisposed) throw new DisposedError(`program "${this.name}"`)
    return this.#handle
  }

  #bindDimensions(inputs: RunOptions['inputs'], dims: Readonly<Record<string, number>>): Int32Array {
    const { dimensions } = this.#parts.graph
    const sizes = new Int32Array(dimensions.length).fill(-1)
    const bind = (index: number, size: number, where: string) => {
      const { name, maxSize } = dimensions[index]!
      checkNumber(size, `dimension "${name}" (${where})`, { min: 0, max: maxSize, isInteger: true })
      if (sizes[index] !== -1 && sizes[index] !== size) {
        throw new InvalidArgumentError(
          `Dimension "${name}" of "${this.name}" is ${sizes[index]}, but ${size} by ${where}.`,
          { name, sizes: [sizes[index], size] },
        )
      }
      sizes[index] = size
    }
    for (const [name, size] of Object.entries(dims)) {
      const dimension = dimensions.find((known) => known.name === name)
      if (!dimension) {
        throw new InvalidArgumentError(`Graph "${this.name}" has no dimension "${name}".`, { name })
      }
      bind(dimension.index, size, 'dims')
    }
    for (const [name, { tensor }] of this.#inputs) {
      const data = Object.hasOwn(inputs, name) ? inputs[name] : undefined
      if (!data) throw new InvalidArgumentError(`run of "${this.name}" lacks the input "${name}".`, { name })
      const free = tensor.shape.filter((extent) => extent < 0)
      const row = tensor.shape.reduce((product, extent) => (extent < 0 ? product : product * extent), 1)
      if (free.length === 1 && row > 0) bind(-1 - free[0]!, data.length / row, `the length of input "${name}"`)
    }
    const open = dimensions.find(({ index }) => sizes[index] === -1)
    if (open) {
      throw new InvalidArgumentError(
        `The size of dimension "${open.name}" of "${this.name}" follows from no input; give it in dims.`,
        { name: open.name },
      )
    }
    return sizes
  }

  #fillParameters(inputs: RunOptions['inputs'], sizes: Int32Array): void {
    // A declared input that no operation reads may be given, and is not looked at.
    const { tensors } = this.#parts.graph
    const declared = tensors.filter(({ kind }) => kind === TensorKind.INPUT).map(({ name }) => name)
    const unknown = Object.keys(inputs).find((name) => !declared.includes(name))
    if (unknown !== undefined) {
      throw new InvalidArgumentError(
        `"${this.name}" has no input "${unknown}"; it has ${declared.join(', ') || 'none'}.`,
        { name: unknown },
      )
    }
    for (const [name, { tensor, offset }] of this.#inputs) {
      const data = inputs[name]!
      const count = tensor.shape.reduce((product, extent) => product * boundExtent(extent, sizes), 1)
      const wanted = arrayName(tensor.dtype, this.#parts.backend)
      if (!isArrayNamed(wanted, data) || data.length !== count) {
        const found = isDetached(data) ? 'a detached array' : `${data.constructor.name} of ${data.length} elements`
        throw new InvalidArgumentError(
          `Input "${name}" of "${this.name}" is ${found}, expected ${wanted} of ${count} elements.`,
          { name, found: data.length, expected: count },
        )
      }
      this.#parameters.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset)
    }
  }

  #outputs(sizes: Int32Array, generation: number): RunOutputs {
    const { graph, recorded } = this.#parts
    const outputs: Record<string, OutputHandle> = {}
    for (const [name, tensor] of graph.outputs) {
      const number = recorded.tensors.indexOf(tensor)
      const shape = tensor.shape.map((extent) => boundExtent(extent, sizes))
      const rowLength = shape.slice(1).reduce((product, extent) => product * extent, 1)
      const read = (first: number, count: number) => {
        if (generation !== this.#generation) {
          throw new InvalidArgumentError(
            `Output "${name}" of "${this.name}" is of an earlier run; read it before the next one is asked for.`,
            { name },
          )
        }
        const target = createArray(tensor.dtype, count, this.#parts.backend)
        const { addon } = this.#parts.backend
        attempt(`read of output "${name}"`, () => addon.readOutput(this.#live, number, first, target))
        return target
      }
      outputs[name] = {
        dtype: tensor.dtype,
        shape,
        read: (row) => {
          checkNumber(row, `row of output "${name}"`, { min: 0, below: shape[0]!, isInteger: true })
          return read(row * rowLength, rowLength)
        },
        readAll: () => read(0, shape[0]! * rowLength),
      }
    }
    return outputs
  }
}

function boundExtent(extent: number, sizes: Int32Array): number {
  return extent < 0 ? sizes[-1 - extent]! : extent
}

const arrayNames: Partial<Record<DeviceDType, string>> = {
  F32: 'Float32Array',
  F16: 'Uint16Array',
  BF16: 'Uint16Array',
  I32: 'Int32Array',
  U32: 'Uint32Array',
}

function arrayName(dtype: DeviceDType, { floatBytes }: Backend): string {
  return dtype === 'F32' && floatBytes === 8 ? 'Float64Array' : arrayNames[dtype]!
}

function isArrayNamed(name: string, data: unknown): boolean {
  return ArrayBuffer.isView(data) && data.constructor.name === name && !isDetached(data)
}

function isDetached(data: ArrayBufferView): boolean {
  // A detached buffer has no bytes, but so has an empty one; only the former refuses a view.
  try {
    new Uint8Array(data.buffer, 0, 0)
    return false
  } catch {
    return true
  }
}

function createArray(dtype: DeviceDType, length: number, { floatBytes }: Backend): InputData {
  switch (dtype) {
    case 'F32':
      return floatBytes === 8 ? new Float64Array(length) : new Float32Array(length)
    case 'I32':
      return new Int32Array(length)
    case 'U32':
      return new Uint32Array(length)
    default:
      return new Uint16Array(length)
  }
}

function bindHandles({ backend, graph, recorded, bindings }: ProgramParts): Float64Array {
  const { program, tensors } = recorded
  const matrices = matrixTensors(program)
  for (const name of Object.keys(bindings)) {
    const isKnown = graph.tensors.some(
      (tensor) => tensor.name === name && (tensor.kind === TensorKind.WEIGHT || tensor.kind === TensorKind.STATE),
    )
    if (!isKnown) {
      throw new InvalidProgramError(`Graph "${graph.name}" has no weight or state "${name}".`, { name })
    }
  }
  return Float64Array.from(tensors, (tensor, i) => {
    if (tensor.kind !== TensorKind.WEIGHT && tensor.kind !== TensorKind.STATE) return 0
    const bound = Object.hasOwn(bindings, tensor.name) ? bindings[tensor.name] : undefined
    const layout = matrices.has(i) ? 'matrix' : 'plain'
    const expected = `[${tensor.shape}] ${tensor.dtype} ${layout} of this device`
    if (!bound) {
      throw new InvalidProgramError(`"${tensor.name}" of graph "${graph.name}" is not bound, expected ${expected}.`, {
        tensor: tensor.name,
      })
    }
    const fits =
      bound.isOf(backend) && bound.dtype === tensor.dtype && bound.layout === layout && hasShape(bound, tensor.shape)
    if (!fits) {
      const found = `[${bound.shape}] ${bound.dtype} ${bound.layout}${bound.isOf(backend) ? '' : ' of another device'}`
      throw new InvalidProgramError(
        `"${tensor.name}" of graph "${graph.name}" is bound to ${found}, expected ${expected}.`,
        { tensor: tensor.name, found: bound.shape, expected: tensor.shape },
      )
    }
    return bound.handle
  })
}

/** A plain vector also passes for a matrix of one row. */
function hasShape({ shape, layout }: DeviceTensor, wanted: readonly number[]): boolean {
  const found = layout === 'plain' && shape.length === 1 && wanted.length === 2 ? [1, ...shape] : shape
  return found.length === wanted.length && found.every((extent, axis) => extent === wanted[axis])
}

/** Numbers of the tensors that kernels read as matrices: two extents, and a role that takes packed weights. */
function matrixTensors(program: ProgramDescription): Set<number> {
  const matrices = new Set<number>()
  for (const { opcode, operands } of program.operations) {
    for (const [place, { dtypes }] of operationByOpcode.get(opcode)!.operands.entries()) {
      if (dtypes.includes('Q4')) matrices.add(operands[place]!)
    }
  }
  return matrices
}
