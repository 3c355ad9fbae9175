import type { Device } from '../device.js'
import type { DeviceTensor } from '../device-tensor.js'
import { createGraph, type Graph } from '../graph/graph.js'
import type { GraphTensor } from '../graph/graph-tensor.js'
import * as ops from '../operations/index.js'
import { ropeTable } from '../rope-table.js'
import type { Random } from './random.js'

type Shape = readonly number[]

/** Operations of training on random elements; unlike those of scenarios, their outputs may mix rows. */
export interface TrainingCase {
  readonly name: string
  readonly inputs: Readonly<Record<string, { shape: Shape; data: Float32Array | Uint32Array }>>
  readonly states?: Readonly<Record<string, { shape: Shape; data: Float32Array }>>
  readonly weights?: Readonly<Record<string, { shape: Shape; data: Float32Array }>>
  readonly dims?: Readonly<Record<string, number>>
  build(g: Graph, tensors: Readonly<Record<string, GraphTensor>>): Readonly<Record<string, GraphTensor>>
}

/** The elements of all outputs and states after one run, by name. */
export async function runTrainingCase(device: Device, subject: TrainingCase): Promise<Map<string, Float32Array>> {
  const { name, inputs, states = {}, weights = {}, dims, build } = subject
  const g = createGraph(name)
  const tensors: Record<string, GraphTensor> = {}
  const bindings: Record<string, DeviceTensor> = {}
  for (const [key, { shape, data }] of Object.entries(inputs)) {
    tensors[key] = g.input(key, data instanceof Float32Array ? 'F32' : 'U32', shape)
  }
  for (const [key, { shape, data }] of Object.entries(states)) {
    tensors[key] = g.state(key, 'F32', shape)
    bindings[key] = device.allocate({ dtype: 'F32', shape })
    bindings[key].write(data)
  }
  for (const [key, { shape, data }] of Object.entries(weights)) {
    tensors[key] = g.weight(key, 'F32', shape)
    bindings[key] = await device.upload({ name: key, format: 'F32', shape, data }, { layout: 'plain' })
  }
  for (const [key, tensor] of Object.entries(build(g, tensors))) g.output(key, tensor)
  const program = device.compile(g, { bindings })
  const elements = Object.fromEntries(Object.entries(inputs).map(([key, { data }]) => [key, data]))
  const outputs = await program.run({ inputs: elements, ...(dims && { dims }) })
  const found = new Map<string, Float32Array>()
  for (const [key, output] of Object.entries(outputs)) found.set(key, output.readAll() as Float32Array)
  for (const [key, { data }] of Object.entries(states))
    found.set(key, bindings[key]!.read(new Float32Array(data.length)))
  program.dispose()
  for (const tensor of Object.values(bindings)) tensor.dispose()
  return found
}

/** Row counts at which blocks, tiles and panels end inside, at and behind the last row. */
export function createTrainingCases(random: Random, most: number): TrainingCase[] {
  const size = (least = 1) => random.integer(least, most)
  const floats = (...shape: number[]) => ({ shape, data: random.floats(shape.reduce((a, b) => a * b, 1)) })
  const positive = (...shape: number[]) => {
    const { data } = floats(...shape)
    return { shape, data: data.map(Math.abs) }
  }
  const words = (values: readonly number[]) => ({ shape: [values.length], data: Uint32Array.from(values) })
  const picks = (count: number, below: number) =>
    words(Array.from({ length: count }, () => random.integer(0, below - 1)))
  const [rows, inner, columns] = [size(), size(), size()]
  const heads = { groups: random.integer(1, 3), share: random.integer(1, 3), size: 2 * random.integer(1, 20) }
  const width = heads.groups * heads.share * heads.size
  const kvWidth = heads.groups * heads.size
  return [
    {
      name: `plainLinear [${rows}, ${inner}] · [${columns}, ${inner}]`,
      inputs: { x: floats(rows, inner), bias: floats(columns), residual: floats(rows, columns) },
      states: { weight: floats(columns, inner) },
      build: (g, { x, weight, bias, residual }) => ({
        plain: g.linear(x!, weight!),
        full: g.linear(x!, weight!, { bias: bias!, residual: residual! }),
      }),
    },
    {
      name: `matmul [${rows}, ${inner}] · [${inner}, ${columns}]`,
      inputs: { a: floats(rows, inner), b: floats(inner, columns) },
      build: (g, { a, b }) => ({ y: g.emit(ops.matmul, [a, b])[0]! }),
    },
    {
      name: `addProduct [${rows}, ${inner}]ᵀ · [${rows}, ${columns}] and addColumnSums`,
      inputs: { a: floats(rows, inner), b: floats(rows, columns) },
      states: { sum: floats(inner, columns), sums: floats(columns) },
      build(g, { a, b, sum, sums }) {
        g.emit(ops.addProduct, [sum, a, b])
        g.emit(ops.addColumnSums, [sums, b])
        return {}
      },
    },
    {
      name: `gradients of rmsNorm, ${heads.groups} × ${heads.size}`,
      inputs: { x: floats(rows, kvWidth), dy: floats(rows, kvWidth) },
      states: { weight: floats(heads.size), sum: floats(heads.size) },
      build(g, { x, dy, weight, sum }) {
        g.emit(ops.rmsNormWeightGradient, [sum, x, dy], { eps: 1e-5 })
        return { dx: g.emit(ops.rmsNormGradient, [x, weight, dy], { eps: 1e-5 })[0]! }
      },
    },
    {
      name: `gradients of siluMul and slice, softmax of ${columns}`,
      inputs: { gate: floats(rows, columns), up: floats(rows, columns), dy: floats(rows, columns) },
      build(g, { gate, up, dy }) {
        const [dgate, dup] = g.emit(ops.siluMulGradient, [gate, up, dy])
        const padded = g.emit(ops.padColumns, [dy], { from: 2 }, new Map([['E', columns + 5]]))[0]!
        return { dgate: dgate!, dup: dup!, padded, probs: g.softmax(gate!) }
      },
    },
    ...[0, 1].map((pairing) => ({
      name: `gradient of rope, pairing ${pairing}`,
      inputs: { dy: floats(rows, kvWidth), positions: picks(rows, 30) },
      weights: {
        table: { shape: [30, heads.size], data: ropeTable({ headSize: heads.size, positions: 30 }) },
      },
      build: (g: Graph, { dy, positions, table }: Readonly<Record<string, GraphTensor>>) => ({
        dx: g.emit(ops.ropeGradient, [dy, positions, table], { D: heads.size, pairing })[0]!,
      }),
    })),
    {
      name: `rows gathered back, joined and cut: ${rows} and ${inner}`,
      inputs: { a: floats(rows, columns), b: floats(inner, columns), places: picks(rows, inner) },
      dims: { both: rows + inner, some: Math.min(rows, 3) },
      build(g, { a, b, places }) {
        const both = g.dimension('both', rows + inner)
        const joined = g.concatRows(a!, b!, both)
        g.dimension('some', rows)
        const some = new Map([['L', -2]])
        return {
          joined,
          scattered: g.emit(ops.scatterAddRows, [a, places], {}, new Map([['R', inner]]))[0]!,
          first: g.emit(ops.sliceRows, [joined], { isLast: 0 }, some)[0]!,
          last: g.emit(ops.sliceRows, [joined], { isLast: 1 }, some)[0]!,
        }
      },
    },
    attentionCase(random, { rows, slots: size(), heads, width, kvWidth, floats, words }),
    {
      name: `distillation of ${rows} rows over ${columns} tokens`,
      inputs: {
        prediction: floats(rows, inner),
        target: floats(rows, inner),
        featureWeights: positive(rows),
        tokenWeights: positive(rows),
      },
      weights: { lmHead: floats(columns, inner) },
      build(g, { prediction, target, featureWeights, tokenWeights, lmHead }) {
        const { losses, gradient } = g.distillation(prediction!, target!, {
          targetProbs: g.softmax(g.plainLinear(target!, lmHead!)),
          lmHead: lmHead!,
          featureWeights: featureWeights!,
          tokenWeights: tokenWeights!,
          topK: Math.min(columns, 4),
          weights: { feature: 1, token: 0.1, topK: 1 },
        })
        return { losses, gradient }
      },
    },
    {
      name: `optimizer over [${rows}, ${columns}]`,
      inputs: { rates: { shape: [3], data: Float32Array.of(0.999, 0.01, 3) } },
      states: {
        parameter: floats(rows, columns),
        gradient: floats(rows, columns),
        firstMoment: floats(rows, columns),
        secondMoment: positive(rows, columns),
      },
      build(g, { parameter, gradient, firstMoment, secondMoment, rates }) {
        const facts = g.emit(ops.gradientFacts, [gradient], { clip: 0.5 })[0]!
        const options = { beta1: 0.9, beta2: 0.95, eps: 1e-8, clip: 0.5 }
        g.emit(ops.adamW, [parameter, gradient, firstMoment, secondMoment, rates], options)
        return { facts }
      },
    },
  ]
}

/** Two sequences of slots, each row of one of them, some with near slots and some with nothing to see. */
function attentionCase(
  random: Random,
  options: {
    readonly rows: number
    readonly slots: number
    readonly heads: { readonly groups: number; readonly share: number; readonly size: number }
    readonly width: number
    readonly kvWidth: number
    floats(...shape: number[]): { shape: Shape; data: Float32Array }
    words(values: readonly number[]): { shape: Shape; data: Uint32Array }
  },
): TrainingCase {
  const { rows, slots, heads, width, kvWidth, floats, words } = options
  const border = random.integer(0, slots)
  const [begins, ends, near, nearOffsets] = [[] as number[], [] as number[], [] as number[], [0]]
  for (let row = 0; row < rows; row++) {
    const begin = row < rows / 2 ? 0 : border
    begins.push(begin)
    ends.push(random.integer(begin, row < rows / 2 ? border : slots))
    for (let i = random.integer(0, 3); i > 0; i--) near.push(random.integer(0, slots - 1))
    nearOffsets.push(near.length)
  }
  return {
    name: `alignedAttention ${heads.groups * heads.share}/${heads.groups} × ${heads.size}, ${rows} rows, ${slots} slots`,
    inputs: {
      q: floats(rows, width),
      keys: floats(slots, kvWidth),
      values: floats(slots, kvWidth),
      dy: floats(rows, width),
      begins: words(begins),
      ends: words(ends),
      nearOffsets: words(nearOffsets),
      near: words(near),
    },
    build(g, { q, keys, values, dy, ...lists }) {
      const sizes = { H: heads.groups * heads.share, G: heads.groups, D: heads.size, scale: heads.size ** -0.5 }
      const context = [lists.begins, lists.ends, lists.nearOffsets, lists.near]
      const [y, shift] = g.emit(ops.alignedAttention, [q, keys, values, ...context], sizes)
      const gradients = g.emit(ops.alignedAttentionGradient, [dy, y, shift, q, keys, values, ...context], sizes)
      return { y: y!, shift: shift!, dq: gradients[0]!, dkeys: gradients[1]!, dvalues: gradients[2]! }
    },
  }
}
