import { afterAll, describe, expect, it } from 'vitest'
import { openDevice } from '../device.js'
import type { DeviceTensor } from '../device-tensor.js'
import { NotDifferentiableError } from '../errors.js'
import { createGraph, type Graph } from '../graph/graph.js'
import type { GraphTensor } from '../graph/graph-tensor.js'
import * as ops from '../operations/index.js'
import { TensorKind } from '../program.js'
import { ropeTable } from '../rope-table.js'
import { Random } from '../testing/random.js'
import { differentiate } from './differentiate.js'

const device = openDevice({ kind: 'reference', precision: 'float64' })
afterAll(() => device.dispose())

type Shape = readonly number[]

/** A function of float tensors under test. */
interface Case {
  /** Shapes of what is differentiated by: inputs, and parameters, which are states. */
  readonly inputs?: Readonly<Record<string, Shape>>
  readonly parameters?: Readonly<Record<string, Shape>>
  /** Other inputs: indices. */
  readonly words?: Readonly<Record<string, readonly number[]>>
  readonly dims?: Readonly<Record<string, number>>
  build(g: Graph, tensors: Readonly<Record<string, GraphTensor>>): GraphTensor
}

const sizeOf = (shape: Shape) => shape.reduce((product, extent) => product * extent, 1)
const table = ropeTable({ headSize: 4, positions: 9 })

const aligned = {
  begins: [0, 0, 4, 4, 4],
  ends: [1, 3, 4, 6, 7],
  nearOffsets: [0, 0, 2, 3, 3, 5],
  near: [7, 3, 8, 6, 8],
}

const cases: Readonly<Record<string, Case>> = {
  linear: {
    inputs: { x: [5, 3], residual: [5, 4] },
    parameters: { weight: [4, 3], bias: [4] },
    build: (g, { x, weight, bias, residual }) => g.linear(x!, weight!, { bias: bias!, residual: residual! }),
  },
  matmul: {
    inputs: { a: [5, 3] },
    parameters: { b: [3, 4] },
    build: (g, { a, b }) => g.emit(ops.matmul, [a, b])[0]!,
  },
  'rmsNorm of heads': {
    inputs: { x: [3, 8] },
    parameters: { weight: [4] },
    build: (g, { x, weight }) => g.rmsNorm(x!, weight!, 1e-2),
  },
  'add and rmsNorm, which a device fuses': {
    inputs: { a: [3, 5], b: [3, 5] },
    parameters: { weight: [5] },
    build(g, { a, b, weight }) {
      const sum = g.add(a!, b!)
      return g.mul(g.rmsNorm(sum, weight!, 1e-2), sum)
    },
  },
  siluMul: { inputs: { a: [3, 5], b: [3, 5] }, build: (g, { a, b }) => g.siluMul(a!, b!) },
  'rope of halves': {
    inputs: { x: [3, 8] },
    words: { positions: [0, 8, 5] },
    build: (g, { x, positions }) => g.rope(x!, positions!, g.weight('table', 'F32', [9, 4]), { headSize: 4 }),
  },
  'rope of interleaved pairs': {
    inputs: { x: [3, 8] },
    words: { positions: [1, 8, 5] },
    build: (g, { x, positions }) =>
      g.rope(x!, positions!, g.weight('table', 'F32', [9, 4]), { headSize: 4, pairing: 'interleaved' }),
  },
  'a tensor added to itself': { inputs: { a: [2, 3] }, build: (g, { a }) => g.add(g.mul(a!, a!), a!) },
  'concat and slice': {
    inputs: { a: [3, 2], b: [3, 4] },
    build(g, { a, b }) {
      const joined = g.concat(a!, b!)
      return g.mul(g.slice(joined, 1, 3), g.slice(joined, 3, 3))
    },
  },
  'gatherRows, with repeats': {
    inputs: { x: [4, 3] },
    words: { rows: [2, 0, 2, 3, 2] },
    build: (g, { x, rows }) => g.gatherRows(x!, rows!),
  },
  concatRows: {
    inputs: { a: [2, 3], b: [4, 3] },
    dims: { both: 6 },
    build: (g, { a, b }) => g.concatRows(g.mul(a!, a!), b!, g.dimension('both', 6)),
  },
  'alignedAttention, with near slots and without': {
    inputs: { q: [5, 8], keys: [9, 4], values: [9, 4] },
    words: aligned,
    build: (g, { q, keys, values, begins, ends, nearOffsets, near }) =>
      g.alignedAttention(
        q!,
        keys!,
        values!,
        { begins: begins!, ends: ends!, nearOffsets: nearOffsets!, near: near! },
        { heads: 4, kvHeads: 2 },
      ),
  },
  'a decoder layer in small': {
    inputs: { x: [4, 6] },
    parameters: { gate: [5, 6], up: [5, 6], down: [6, 5], norm: [6] },
    build(g, { x, gate, up, down, norm }) {
      const h = g.rmsNorm(x!, norm!, 1e-2)
      return g.linear(g.siluMul(g.linear(h, gate!), g.linear(h, up!)), down!, { residual: x! })
    },
  },
}

/** Compiles a case; returns a function that runs it on given elements: the output, then all gradients by name. */
async function prepare({ inputs = {}, parameters = {}, words = {}, dims, build }: Case) {
  const g = createGraph('case')
  const tensors: Record<string, GraphTensor> = {}
  const bindings: Record<string, DeviceTensor> = {}
  for (const [name, shape] of Object.entries(inputs)) tensors[name] = g.input(name, 'F32', shape)
  for (const [name, list] of Object.entries(words)) tensors[name] = g.input(name, 'U32', [list.length])
  const accumulators = new Map<GraphTensor, GraphTensor>()
  for (const [name, shape] of Object.entries(parameters)) {
    tensors[name] = g.state(name, 'F32', shape)
    const gradient = g.state(`d${name}`, 'F32', shape)
    accumulators.set(tensors[name], gradient)
    bindings[name] = device.allocate({ dtype: 'F32', shape })
    bindings[`d${name}`] = device.allocate({ dtype: 'F32', shape })
  }
  const y = build(g, tensors)
  const shape = y.shape.map((extent) => (extent < 0 ? g.dimensions[-1 - extent]!.maxSize : extent))
  // An input cannot be an output, and one tensor not two: a slice of all columns is a copy.
  const copy = (tensor: GraphTensor) => g.slice(tensor, 0, tensor.shape[1]!)
  const declared = shape.map((extent, axis) => (y.shape[axis]! < 0 ? g.dimensions[-1 - y.shape[axis]!]! : extent))
  const dy = g.input('dy', 'F32', declared)
  g.output('y', copy(y))
  const wanted = Object.keys(inputs).map((name) => tensors[name]!)
  const gradients = differentiate(g, { seeds: new Map([[y, dy]]), accumulators, wanted })
  for (const [name] of Object.entries(inputs)) g.output(name, copy(gradients.get(tensors[name]!)!))
  if (g.tensors.some(({ name, kind }) => name === 'table' && kind === TensorKind.WEIGHT)) {
    const source = { name: 'table', format: 'F32', shape: [9, 4], data: table } as const
    bindings.table = await device.upload(source, { layout: 'plain' })
  }
  const program = device.compile(g, { bindings })
  return {
    shape,
    async run(elements: Readonly<Record<string, Float64Array>>) {
      for (const name of Object.keys(parameters)) {
        bindings[name]!.write(elements[name]!)
        bindings[`d${name}`]!.write(new Float64Array(elements[name]!.length).fill(0.5))
      }
      const outputs = await program.run({
        inputs: {
          ...Object.fromEntries(Object.keys(inputs).map((name) => [name, elements[name]!])),
          ...Object.fromEntries(Object.entries(words).map(([name, list]) => [name, Uint32Array.from(list)])),
          dy: elements.dy!,
        },
        ...(dims && { dims }),
      })
      const found: Record<string, ArrayLike<number>> = { y: outputs.y!.readAll() }
      for (const name of Object.keys(inputs)) found[name] = outputs[name]!.readAll()
      for (const name of Object.keys(parameters)) {
        // What was there before is kept: gradients are added.
        found[name] = bindings[`d${name}`]!.read(new Float64Array(elements[name]!.length)).map((value) => value - 0.5)
      }
      return found
    },
  }
}

const step = 1e-5

describe('reverse rules against finite differences in float64', () => {
  it.each(Object.entries(cases))('%s', async (_, subject) => {
    const random = new Random(7)
    const { run, shape } = await prepare(subject)
    const shapes = { ...subject.inputs, ...subject.parameters, dy: shape }
    const elements: Record<string, Float64Array> = {}
    for (const [name, extents] of Object.entries(shapes)) {
      elements[name] = Float64Array.from({ length: sizeOf(extents) }, () => 2 * random.next() - 1)
    }
    const loss = async (changed: Readonly<Record<string, Float64Array>>) => {
      const { y } = await run(changed)
      return Array.from(y!).reduce((sum, value, i) => sum + value * elements.dy![i]!, 0)
    }
    const gradients = await run(elements)
    for (const name of Object.keys({ ...subject.inputs, ...subject.parameters })) {
      for (let i = 0; i < elements[name]!.length; i++) {
        const at = (shift: number) => {
          const moved = elements[name]!.slice()
          moved[i] = moved[i]! + shift
          return loss({ ...elements, [name]: moved })
        }
        const slope = ((await at(step)) - (await at(-step))) / (2 * step)
        expect(Math.abs(gradients[name]![i]! - slope), `${name}[${i}]`).toBeLessThan(
          2e-8 * Math.max(1, Math.abs(slope)),
        )
      }
    }
  })

  it('the distillation losses, by the prediction', async () => {
    const random = new Random(3)
    const [rows, columns, tokens, topK] = [4, 5, 7, 3]
    const weights = { feature: 0.7, token: 0.3, topK: 1.1 }
    const g = createGraph('distillation')
    const input = (name: string, shape: Shape) => g.input(name, 'F32', shape)
    const lmHead = g.weight('lmHead', 'F32', [tokens, columns])
    const targets = input('targets', [rows, columns])
    const { losses, gradient } = g.distillation(input('prediction', [rows, columns]), targets, {
      targetProbs: g.softmax(g.plainLinear(targets, lmHead)),
      lmHead,
      featureWeights: input('featureWeights', [rows]),
      tokenWeights: input('tokenWeights', [rows]),
      topK,
      weights,
    })
    g.output('losses', losses)
    g.output('gradient', gradient)
    const bindings = {
      lmHead: await device.upload(
        { name: 'lmHead', format: 'F32', shape: [tokens, columns], data: random.floats(tokens * columns) },
        { layout: 'plain' },
      ),
    }
    const program = device.compile(g, { bindings })
    const floats = (count: number, scale = 1) =>
      Float64Array.from({ length: count }, () => scale * (2 * random.next() - 1))
    const inputs = {
      // Differences of both sides of one, where the smooth L1 loss changes.
      prediction: floats(rows * columns, 3),
      targets: floats(rows * columns),
      featureWeights: Float64Array.of(0.5, 0.25, 0, 1),
      tokenWeights: Float64Array.of(0.5, 0, 0.25, 1),
    }
    const loss = async (prediction: Float64Array) => {
      const found = (await program.run({ inputs: { ...inputs, prediction } })).losses!.readAll()
      let sum = 0
      for (let row = 0; row < rows; row++) {
        const [feature, token, top] = found.slice(row * 4) as unknown as [number, number, number]
        sum += inputs.featureWeights[row]! * weights.feature * feature
        sum += inputs.tokenWeights[row]! * (weights.token * token + weights.topK * top)
      }
      return sum
    }
    const found = (await program.run({ inputs })).gradient!.readAll()
    for (let i = 0; i < rows * columns; i++) {
      const at = (shift: number) => loss(inputs.prediction.map((value, j) => (i === j ? value + shift : value)))
      const slope = ((await at(step)) - (await at(-step))) / (2 * step)
      expect(Math.abs(found[i]! - slope), `prediction[${i}]`).toBeLessThan(1e-7)
    }
  })
})

describe('differentiate', () => {
  const parts = () => {
    const g = createGraph('parts')
    const x = g.input('x', 'F32', [4, 32])
    return { g, x, dy: g.input('dy', 'F32', [4, 32]), square: g.mul(x, x) }
  }

  it('lets no gradient through what is taken for a constant', () => {
    const { g, x, dy, square } = parts()
    const y = g.add(square, x)
    const before = g.nodes.length
    const gradients = differentiate(g, { seeds: new Map([[y, dy]]), wanted: [x], constants: [square] })
    // Only the path around the square is left, on which the gradient is dy itself.
    expect(gradients.get(x)).toBe(dy)
    expect(g.nodes.length).toBe(before)
  })

  it('gives no gradient where nothing depends on the tensor', () => {
    const { g, x, dy, square } = parts()
    const other = g.input('other', 'F32', [4, 32])
    const gradients = differentiate(g, { seeds: new Map([[square, dy]]), wanted: [x, other] })
    expect(gradients.has(other)).toBe(false)
    expect(gradients.has(x)).toBe(true)
  })

  const refusals: [string, RegExp, (g: Graph, x: GraphTensor) => GraphTensor][] = [
    ['packed weights', /linear has no gradient/, (g, x) => g.linear(x, g.weight('packed', 'Q4', [32, 32]))],
    [
      'float weights in kernels’ layout',
      /linear has no gradient/,
      (g, x) => g.linear(x, g.weight('w', 'F32', [32, 32])),
    ],
    ['log-softmax', /logSoftmax has no gradient, only inference uses it/, (g, x) => g.logSoftmax(x)],
    ['top-k', /topK has no gradient/, (g, x) => g.topK(x, 32).values],
    [
      'matrices that are no parameters',
      /plainLinear has no gradient by "mul#\d+"/,
      (g, x) => g.plainLinear(g.input('rows', 'F32', [4, 32]), g.mul(x, x)),
    ],
  ]
  it.each(refusals)('refuses %s, naming the operation', (_, message, build) => {
    const { g, x } = parts()
    const y = build(g, x)
    const seeds = new Map([[y, g.input('seed', 'F32', y.shape)]])
    const run = () => differentiate(g, { seeds, wanted: [x] })
    expect(run).toThrow(message)
    expect(run).toThrow(NotDifferentiableError)
  })

  it('refuses a parameter by which an operation has no gradient', () => {
    const { g, x, dy } = parts()
    const [scale, sum] = [g.state('scale', 'F32', [4, 32]), g.state('sum', 'F32', [4, 32])]
    const y = g.mul(x, scale)
    const run = () => differentiate(g, { seeds: new Map([[y, dy]]), accumulators: new Map([[scale, sum]]) })
    expect(run).toThrow(/mul has no gradient by the parameter "scale"/)
  })

  it('refuses options that are none', () => {
    const { g } = parts()
    expect(() => differentiate(g, { seeds: new Map(), targets: [] } as object as { seeds: Map<never, never> })).toThrow(
      /no option "targets"/,
    )
  })
})
