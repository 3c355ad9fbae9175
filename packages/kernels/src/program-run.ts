import { checkNumber, checkOptionKeys, DisposedError, InvalidArgumentError } from '@hass-engine/core'
import type { Handle } from './addon/addon.js'
import { attempt, type Backend, type DeviceTensor } from './device-tensor.js'
import { InvalidProgramError, translateBackendError } from './errors.js'
import type { Graph } from './graph/graph.js'
import type { GraphTensor } from './graph/graph-tensor.js'
import type { RecordedGraph } from './graph/record.js'
import { operationByOpcode } from './operations/index.js'
import { type DeviceDType, encodeProgram, type ProgramDescription, TensorKind } from './program.js'
import { arrayType, countOf, type InputData, ProgramInputs, sizeOf } from './program-inputs.js'

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
  /**
   * `[shape[1]]`, a copy of one row.
   *
   * @param target where to, an array of the dtype's type. Defaults to a new one
   */
  read(row: number, target?: InputData): InputData
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

/** An output of the program, worked out once. */
interface OutputPlace {
  readonly name: string
  readonly tensor: GraphTensor
  /** Of the tensor, in the program. */
  readonly number: number
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
  readonly #inputs: ProgramInputs
  readonly #outputs: readonly OutputPlace[]
  #generation = 0
  #isDisposed = false

  /** @internal Use `device.compile`. */
  constructor(parts: ProgramParts, handle: Handle) {
    const { graph, recorded, backend } = parts
    this.name = graph.name
    this.numOperations = recorded.program.operations.length
    this.#parts = parts
    this.#handle = handle
    const { parameterBytes, inputOffsets } = backend.addon.programFacts(handle)
    this.#inputs = new ProgramInputs(graph, recorded.tensors, inputOffsets, parameterBytes, backend)
    this.#outputs = [...graph.outputs].map(([name, tensor]) => {
      return { name, tensor, number: recorded.tensors.indexOf(tensor) }
    })
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
    const sizes = this.#inputs.bind(inputs, options.dims ?? {})
    const parameters = this.#inputs.fill(inputs, sizes)
    const generation = ++this.#generation
    const { addon, device } = this.#parts.backend
    const what = `run of "${this.name}"`
    const runId = ++lastRunId
    const cancel = () => addon.cancelRun(device, runId)
    try {
      const promise = attempt(what, () => addon.runProgram(handle, sizes, parameters, runId))
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
    return Object.fromEntries(
      this.#outputs.map((place) => [
        place.name,
        new ProgramOutput(this, this.#parts.backend, place, sizes, generation),
      ]),
    )
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

  /** @internal The program as one of its outputs reads it. */
  handleOf(generation: number, output: string): Handle {
    if (generation === this.#generation) return this.#live
    throw new InvalidArgumentError(
      `Output "${output}" of "${this.name}" is of an earlier run; read it before the next one is asked for.`,
      { name: output },
    )
  }

  get #live(): Handle {
    if (this.#isDisposed) throw new DisposedError(`program "${this.name}"`)
    return this.#handle
  }
}

/** Rows of one output of one run. */
class ProgramOutput implements OutputHandle {
  readonly dtype: DeviceDType
  readonly shape: readonly number[]
  readonly #program: Program
  readonly #backend: Backend
  readonly #place: OutputPlace
  readonly #rowLength: number
  readonly #generation: number

  constructor(program: Program, backend: Backend, place: OutputPlace, sizes: Int32Array, generation: number) {
    const { dtype, shape } = place.tensor
    this.dtype = dtype
    this.shape = shape.map((extent) => (extent < 0 ? sizes[-1 - extent]! : extent))
    this.#program = program
    this.#backend = backend
    this.#place = place
    this.#rowLength = countOf(sizeOf(shape.slice(1)), sizes)
    this.#generation = generation
  }

  read(row: number, target = this.#createArray(this.#rowLength)): InputData {
    checkNumber(row, `row of output "${this.#place.name}"`, { min: 0, below: this.shape[0]!, isInteger: true })
    if (target.length !== this.#rowLength || target[Symbol.toStringTag] !== this.#createArray(0)[Symbol.toStringTag]) {
      throw new InvalidArgumentError(
        `A row of output "${this.#place.name}" has ${this.#rowLength} elements of ${this.dtype}, and the array for it is ${target.constructor.name} of ${target.length}.`,
        { found: target.length, expected: this.#rowLength },
      )
    }
    return this.#read(row * this.#rowLength, target)
  }

  readAll(): InputData {
    return this.#read(0, this.#createArray(this.shape[0]! * this.#rowLength))
  }

  #createArray(length: number): InputData {
    return new (arrayType(this.dtype, this.#backend))(length)
  }

  #read(first: number, target: InputData): InputData {
    const { name, number } = this.#place
    const handle = this.#program.handleOf(this.#generation, name)
    attempt(`read of output "${name}"`, () => this.#backend.addon.readOutput(handle, number, first, target))
    return target
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
