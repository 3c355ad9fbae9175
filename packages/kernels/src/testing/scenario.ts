import type { Device } from '../device.js'
import type { TensorLayout } from '../device-tensor.js'
import { createGraph, type Graph, type GraphOptions } from '../graph/graph.js'
import type { Dimension, GraphTensor } from '../graph/graph-tensor.js'
import type { WeightSource } from '../packing/prepare.js'
import type { DeviceDType } from '../program.js'
import type { InputData } from '../program-inputs.js'

/** Rows that are computed together: numbers of a scenario's logical rows, in the order of the run. */
export type Selection = readonly number[]

/**
 * A small computation with logical rows. Each logical row has its outputs, whatever selection of rows it is computed
 * in; what a scenario's outputs are for a row must depend on nothing else.
 */
export interface Scenario {
  readonly name: string
  /** True where native/NUMERICS.md promises the same bits of all backends. */
  readonly isExact: boolean
  /** True for operations that only training needs: a GPU refuses them. */
  readonly isTraining: boolean
  readonly numRows: number
  readonly graph?: GraphOptions
  readonly weights: Readonly<Record<string, WeightSource & { dtype: DeviceDType; layout?: TensorLayout }>>
  readonly states: Readonly<Record<string, { dtype: DeviceDType; shape: number[]; data: ArrayBufferView }>>
  /** Declares inputs and outputs; all outputs have rows first. */
  build(graph: Graph, rows: Dimension, tensors: Readonly<Record<string, GraphTensor>>): void
  inputs(selection: Selection): Record<string, InputData>
  readonly dims?: Readonly<Record<string, number>>
}

/** Bits of each output of each row: outputs[name][row]. */
export type RowBits = Readonly<Record<string, readonly InputData[]>>

/** A scenario compiled on a device. */
export interface Prepared {
  run(selection: Selection, change?: (inputs: Record<string, InputData>) => void): Promise<RowBits>
  dispose(): void
}

export async function prepare(device: Device, scenario: Scenario, fuse = true): Promise<Prepared> {
  const graph = createGraph(scenario.name, scenario.graph)
  const rows = graph.dimension('rows', scenario.numRows)
  const tensors: Record<string, GraphTensor> = {}
  const bindings: Record<string, Awaited<ReturnType<Device['upload']>>> = {}
  for (const [name, { dtype, layout, ...source }] of Object.entries(scenario.weights)) {
    tensors[name] = graph.weight(name, dtype, source.shape)
    bindings[name] = await device.upload(source, { dtype, ...(layout && { layout }) })
  }
  for (const [name, { dtype, shape }] of Object.entries(scenario.states)) {
    tensors[name] = graph.state(name, dtype, shape)
    bindings[name] = device.allocate({ dtype, shape })
  }
  scenario.build(graph, rows, tensors)
  const program = device.compile(graph, { bindings, fuse })
  return {
    async run(selection, change) {
      for (const [name, { data }] of Object.entries(scenario.states)) bindings[name]!.write(data)
      const inputs = scenario.inputs(selection)
      change?.(inputs)
      const outputs = await program.run({ inputs, dims: { rows: selection.length } })
      return Object.fromEntries(
        Object.entries(outputs).map(([name, output]) => [name, selection.map((_, row) => output.read(row))]),
      )
    },
    dispose() {
      program.dispose()
      for (const tensor of Object.values(bindings)) tensor.dispose()
    },
  }
}

/** Rows of a row-major input for a selection. */
export function pickRows<Data extends InputData>(data: Data, numRows: number, selection: Selection): Data {
  const columns = data.length / numRows
  const Type = data.constructor as new (length: number) => Data
  const picked = new Type(selection.length * columns)
  for (const [i, row] of selection.entries()) {
    picked.set(data.subarray(row * columns, (row + 1) * columns) as Float32Array & Uint32Array, i * columns)
  }
  return picked
}

/** True if two arrays have the same bits; any NaN equals any other. */
export function sameBits(a: InputData, b: InputData): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false
  return true
}

/**
 * Largest difference relative to the largest element; Infinity where only one is a number. Of elements of 16 bits,
 * which are given as words, neighbours do not differ: numbers that are close may be rounded apart.
 */
export function relativeDifference(a: InputData, b: InputData): number {
  let [difference, magnitude] = [0, 1e-6]
  const isRounded = a instanceof Uint16Array
  for (let i = 0; i < a.length; i++) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue
    const distance = Math.abs(a[i]! - b[i]!)
    if (isRounded && distance === 1) continue
    difference = Math.max(difference, Number.isNaN(distance) ? Infinity : distance)
    if (Number.isFinite(b[i])) magnitude = Math.max(magnitude, Math.abs(b[i]!))
  }
  return difference / magnitude
}
