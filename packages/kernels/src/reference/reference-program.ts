import { checkOperation, type Operation, type ReferenceCall } from '../operations/operation.js'
import { decodeProgram, none, type ProgramDescription, TensorKind, wordToFloat } from '../program.js'
import type { HostTensor } from './host-tensor.js'
import { elementBytes, type ReferenceBuffer, type ReferenceDevice, viewOf } from './objects.js'
import { backendError } from './registry.js'

interface Step {
  readonly operation: Operation
  readonly operands: readonly number[]
  readonly attributes: Readonly<Record<string, number>>
  /** Whether what its value check reads is known before the first operation runs. */
  readonly isCheckedFirst: boolean
}

/** A program of the reference backend: its words read, checked and given memory. */
export class ReferenceProgram {
  readonly device: ReferenceDevice
  readonly description: ProgramDescription
  readonly buffers: readonly (ReferenceBuffer | undefined)[]
  readonly inputOffsets: Float64Array
  readonly parameterBytes: number
  readonly arenaBytes: number
  /** Extents of the tensors in the last run that succeeded. */
  lastShapes: readonly (readonly number[])[] | undefined
  numRuns = 0
  readonly #steps: readonly Step[]
  readonly #parameters: Uint8Array
  readonly #places: readonly (Uint8Array | undefined)[]

  constructor(
    device: ReferenceDevice,
    words: Int32Array,
    buffers: readonly (ReferenceBuffer | undefined)[],
    operations: ReadonlyMap<number, Operation>,
  ) {
    this.device = device
    this.description = decodeProgram(words)
    const { tensors, dims } = this.description
    const maximal = tensors.map(({ shape }) => bindShape(shape, dims))
    this.#steps = this.description.operations.map((_, index) => this.#readStep(index, operations))
    this.buffers = buffers
    this.inputOffsets = new Float64Array(tensors.length).fill(-1)
    const bytesOf = (index: number) =>
      maximal[index]!.reduce((product, extent) => product * extent, 1) * elementBytes(tensors[index]!.dtype, device)
    this.#checkBindings(maximal)
    let parameterBytes = 0
    let arenaBytes = 0
    for (const [index, { kind }] of tensors.entries()) {
      if (kind === TensorKind.INPUT) {
        this.inputOffsets[index] = parameterBytes
        parameterBytes = align(parameterBytes + bytesOf(index))
      } else if (kind === TensorKind.ACTIVATION || kind === TensorKind.OUTPUT) arenaBytes += bytesOf(index)
    }
    this.parameterBytes = parameterBytes
    this.arenaBytes = arenaBytes
    try {
      this.#parameters = new Uint8Array(parameterBytes)
      this.#places = tensors.map(({ kind }, index) => {
        if (kind === TensorKind.INPUT) return this.#parameters.subarray(this.inputOffsets[index]!)
        if (kind === TensorKind.WEIGHT || kind === TensorKind.STATE) return buffers[index]!.bytes
        return new Uint8Array(bytesOf(index))
      })
    } catch {
      throw backendError('OUT_OF_MEMORY', `${arenaBytes} bytes of activations could not be allocated`, {
        bytes: arenaBytes,
      })
    }
  }

  /** What the bound dimensions cover of a run's inputs. */
  copyInputs(sizes: Int32Array, parameters: Uint8Array): Uint8Array[] {
    return this.description.tensors.map(({ kind, dtype, shape }, index) => {
      if (kind !== TensorKind.INPUT) return new Uint8Array()
      const elements = bindShape(shape, sizes).reduce((product, extent) => product * extent, 1)
      const offset = this.inputOffsets[index]!
      return parameters.slice(offset, offset + elements * elementBytes(dtype, this.device))
    })
  }

  /** One pass; `pause` is awaited between operations and may throw to end it. */
  async run(sizes: Int32Array, inputs: readonly Uint8Array[], pause: () => Promise<void>): Promise<void> {
    const { tensors } = this.description
    for (const [index, bytes] of inputs.entries()) this.#places[index]!.set(bytes.length > 0 ? bytes : noBytes)
    const shapes = tensors.map(({ shape }) => bindShape(shape, sizes))
    const operands = tensors.map(({ dtype }, index) => this.#view(index, dtype, shapes[index]!))
    const { arithmetic } = this.device
    const calls = this.#steps.map((step): ReferenceCall => {
      // Absent operands are seen as undefined by those that declare them optional.
      const bound = step.operands.map((index) => (index === none ? undefined : operands[index]!))
      return { tensors: bound as HostTensor[], attributes: step.attributes, arithmetic }
    })
    for (const [i, { operation, isCheckedFirst }] of this.#steps.entries()) {
      if (isCheckedFirst) operation.checkValues?.(calls[i]!)
    }
    for (const [i, { operation, isCheckedFirst }] of this.#steps.entries()) {
      await pause()
      if (!isCheckedFirst) operation.checkValues?.(calls[i]!)
      operation.run(calls[i]!)
    }
    this.lastShapes = shapes
  }

  /** Copies elements of an output of the last run. */
  read(tensor: number, firstElement: number, target: Uint8Array): void {
    const { kind, dtype } = this.description.tensors[tensor] ?? {}
    if (kind !== TensorKind.OUTPUT) throw backendError('INVALID_ARGUMENT', `tensor ${tensor} is no output`)
    const shape = this.lastShapes?.[tensor]
    if (!shape) throw backendError('INVALID_ARGUMENT', 'no run has succeeded yet')
    const size = elementBytes(dtype!, this.device)
    const end = shape.reduce((product, extent) => product * extent, 1) * size
    const from = firstElement * size
    if (from + target.length > end) {
      throw backendError('INVALID_ARGUMENT', `bytes ${from} to ${from + target.length} of an output of ${end}`)
    }
    target.set(this.#places[tensor]!.subarray(from, from + target.length))
  }

  #checkBindings(shapes: readonly (readonly number[])[]): void {
    for (const [index, { kind, dtype }] of this.description.tensors.entries()) {
      if (kind !== TensorKind.WEIGHT && kind !== TensorKind.STATE) continue
      const [buffer, shape] = [this.buffers[index], shapes[index]!]
      const elements = shape.reduce((product, extent) => product * extent, 1)
      const fits = buffer?.dtype
        ? buffer.dtype === dtype && buffer.rows === shape[0] && buffer.columns === shape[1]
        : buffer && buffer.bytes.length >= elements * elementBytes(dtype, this.device)
      if (!fits)
        throw backendError('INVALID_PROGRAM', `tensor ${index} is not bound to what it needs`, { tensor: index })
    }
  }

  #view(index: number, dtype: HostTensor['dtype'], shape: readonly number[]): HostTensor {
    const buffer = this.buffers[index]
    if (buffer?.packed) return { dtype, shape, data: new Float32Array(0), packed: buffer.packed }
    const count = shape.reduce((product, extent) => product * extent, 1)
    return { dtype, shape, data: viewOf(dtype, this.#places[index]!, this.device, count) }
  }

  #readStep(index: number, known: ReadonlyMap<number, Operation>): Step {
    const { tensors, operations } = this.description
    const { opcode, operands, attributes: words } = operations[index]!
    const operation = known.get(opcode)
    const isWhole = operands.length === operation?.operands.length && words.length === operation.attributes.length
    if (!operation || !isWhole) {
      throw backendError('INVALID_PROGRAM', `operation ${index} of opcode ${opcode} is not known or not whole`, {
        op: index,
      })
    }
    const attributes = Object.fromEntries(
      operation.attributes.map(({ name, type }, i) => [name, type === 'float' ? wordToFloat(words[i]!) : words[i]!]),
    )
    const shapes = operands.map((operand) => {
      const tensor = tensors[operand]
      return tensor && { ...tensor, name: `tensor ${operand}`, isState: tensor.kind === TensorKind.STATE }
    })
    const describe = (extent: number) => (extent < 0 ? `dimension ${-1 - extent}` : String(extent))
    try {
      checkOperation(operation, shapes, attributes, describe)
    } catch (error) {
      throw backendError('INVALID_PROGRAM', (error as Error).message, { op: index })
    }
    const isCheckedFirst = operation.operands.every(
      ({ dtypes }, i) =>
        !dtypes.includes('U32') || dtypes.length > 1 || tensors[operands[i]!]?.kind === TensorKind.INPUT,
    )
    return { operation, operands, attributes, isCheckedFirst }
  }
}

const noBytes = new Uint8Array()

function bindShape(shape: readonly number[], sizes: ArrayLike<number>): number[] {
  return shape.map((extent) => (extent < 0 ? sizes[-1 - extent]! : extent))
}

function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64
}
