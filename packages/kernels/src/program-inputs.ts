import { checkNumber, InvalidArgumentError } from '@hass-engine/core'
import type { Backend } from './device-tensor.js'
import type { Graph } from './graph/graph.js'
import type { GraphTensor } from './graph/graph-tensor.js'
import { type DeviceDType, TensorKind } from './program.js'

/**
 * Elements of an input or output: `F32` Float32Array (Float64Array on a float64 device), `U32` Uint32Array, `I32`
 * Int32Array, `F16` and `BF16` Uint16Array.
 */
export type InputData = Float32Array | Float64Array | Uint32Array | Int32Array | Uint16Array

/** An extent that is known before a run, or the number of the dimension that it follows. */
interface Size {
  /** Product of the extents that are known. */
  readonly known: number
  /** Numbers of the dimensions that the others follow. */
  readonly free: readonly number[]
}

interface InputPlace extends Size {
  readonly name: string
  /** Byte offset among the parameters. */
  readonly offset: number
}

/** What a program wants of its inputs, worked out once: it is looked at in every run. */
export class ProgramInputs {
  readonly #graph: Graph
  readonly #places: readonly InputPlace[]
  /** Array types by the names of all declared inputs; those that no operation reads may be given, and are not looked at. */
  readonly #arrays: ReadonlyMap<string, ArrayType>
  readonly #parameters: Uint8Array

  /** @param tensors the program's, with their byte offsets */
  constructor(
    graph: Graph,
    tensors: readonly GraphTensor[],
    offsets: ArrayLike<number>,
    parameterBytes: number,
    backend: Backend,
  ) {
    this.#graph = graph
    this.#parameters = new Uint8Array(parameterBytes)
    const declared = graph.tensors.filter(({ kind }) => kind === TensorKind.INPUT)
    this.#arrays = new Map(declared.map(({ name, dtype }) => [name, arrayType(dtype, backend)]))
    this.#places = tensors.flatMap((tensor, i) =>
      tensor.kind === TensorKind.INPUT ? [{ name: tensor.name, offset: offsets[i]!, ...sizeOf(tensor.shape) }] : [],
    )
  }

  /**
   * The sizes of a run's dimensions, by their numbers.
   *
   * @throws InvalidArgumentError for sizes that are too large, contradict each other or follow from nothing
   */
  bind(inputs: Readonly<Record<string, InputData>>, dims: Readonly<Record<string, number>>): Int32Array {
    const { dimensions, name: graphName } = this.#graph
    const sizes = new Int32Array(dimensions.length).fill(-1)
    const bind = (index: number, size: number, where: () => string) => {
      const { name, maxSize } = dimensions[index]!
      if (!Number.isInteger(size) || size < 0 || size > maxSize) {
        checkNumber(size, `dimension "${name}" (${where()})`, { min: 0, max: maxSize, isInteger: true })
      }
      if (sizes[index] !== -1 && sizes[index] !== size) {
        throw new InvalidArgumentError(
          `Dimension "${name}" of "${graphName}" is ${sizes[index]}, but ${size} by ${where()}.`,
          { name, sizes: [sizes[index], size] },
        )
      }
      sizes[index] = size
    }
    for (const name of Object.keys(dims)) {
      const dimension = dimensions.find((known) => known.name === name)
      if (!dimension) throw new InvalidArgumentError(`Graph "${graphName}" has no dimension "${name}".`, { name })
      bind(dimension.index, dims[name]!, () => 'dims')
    }
    for (const { name, known, free } of this.#places) {
      const data = Object.hasOwn(inputs, name) ? inputs[name] : undefined
      if (!data) throw new InvalidArgumentError(`run of "${graphName}" lacks the input "${name}".`, { name })
      if (free.length === 1 && known > 0) bind(free[0]!, data.length / known, () => `the length of input "${name}"`)
    }
    const open = sizes.indexOf(-1)
    if (open >= 0) {
      const { name } = dimensions[open]!
      throw new InvalidArgumentError(
        `The size of dimension "${name}" of "${graphName}" follows from no input; give it in dims.`,
        { name },
      )
    }
    return sizes
  }

  /**
   * Inputs as the backend takes them, until the next call.
   *
   * @throws InvalidArgumentError for inputs that are unknown, detached, or of the wrong type or length
   */
  fill(inputs: Readonly<Record<string, InputData>>, sizes: Int32Array): Uint8Array {
    for (const name of Object.keys(inputs)) {
      if (this.#arrays.has(name)) continue
      const known = [...this.#arrays.keys()].join(', ')
      throw new InvalidArgumentError(`"${this.#graph.name}" has no input "${name}"; it has ${known || 'none'}.`, {
        name,
      })
    }
    for (const place of this.#places) {
      const { name, offset } = place
      const data = inputs[name]!
      const count = countOf(place, sizes)
      const wanted = this.#arrays.get(name)!
      // The tag is the same in every realm, where constructors differ.
      if (data[Symbol.toStringTag] !== wanted.name || data.length !== count || isDetached(data)) {
        const found = isDetached(data) ? 'a detached array' : `${data.constructor.name} of ${data.length} elements`
        throw new InvalidArgumentError(
          `Input "${name}" of "${this.#graph.name}" is ${found}, expected ${wanted.name} of ${count} elements.`,
          { name, found: data.length, expected: count },
        )
      }
      this.#parameters.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset)
    }
    return this.#parameters
  }
}

/** @param shape negative extents, -1 - i, follow dimension i */
export function sizeOf(shape: readonly number[]): Size {
  return {
    known: shape.reduce((product, extent) => (extent < 0 ? product : product * extent), 1),
    free: shape.filter((extent) => extent < 0).map((extent) => -1 - extent),
  }
}

/** Elements of a size in one run. */
export function countOf({ known, free }: Size, sizes: Int32Array): number {
  let count = known
  for (const dimension of free) count *= sizes[dimension]!
  return count
}

type ArrayType = new (length: number) => InputData

const arrayTypes: Partial<Record<DeviceDType, ArrayType>> = {
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I32: Int32Array,
  U32: Uint32Array,
}

/** What elements of an unpacked dtype are kept in. */
export function arrayType(dtype: DeviceDType, { floatBytes }: Pick<Backend, 'floatBytes'>): ArrayType {
  return dtype === 'F32' && floatBytes === 8 ? Float64Array : arrayTypes[dtype]!
}

function isDetached(data: ArrayBufferView): boolean {
  if (data.byteLength > 0) return false
  // A detached buffer has no bytes, but so has an empty one; only the former refuses a view.
  try {
    new Uint8Array(data.buffer, 0, 0)
    return false
  } catch {
    return true
  }
}
