import type { Graph } from '../graph/graph.js'
import type { GraphTensor } from '../graph/graph-tensor.js'
import { matmul, rmsNormGradient, siluMulGradient } from '../operations/index.js'
import { integerDTypes, weightDTypes } from '../operations/signature.js'
import type { WeightFormat } from '../packing/formats.js'
import { encodeFloats } from '../packing/quantize.js'
import { type DeviceDType, packedColumns } from '../program.js'
import type { InputData } from '../program-inputs.js'
import { ropeTable } from '../rope-table.js'
import { attentionScenario } from './attention-scenario.js'
import type { Random } from './random.js'
import { randomBlocks } from './random-blocks.js'
import { pickRows, type Scenario } from './scenario.js'

/** Factor of the extents: beyond 1, an operation is worth several threads. */
type Size = 1 | 4 | 20

type Tensors = Readonly<Record<string, GraphTensor>>

/** A scenario whose inputs are all row-major with the rows first. */
function rowScenario(options: {
  name: string
  isExact?: boolean
  isTraining?: boolean
  graph?: Scenario['graph']
  numRows: number
  weights?: Scenario['weights']
  states?: Scenario['states']
  rowInputs: Readonly<Record<string, { data: InputData; dtype: DeviceDType; columns?: number }>>
  build(graph: Graph, tensors: Tensors): Readonly<Record<string, GraphTensor>>
}): Scenario {
  const { name, isExact = true, isTraining = false, graph, numRows, weights = {}, states = {}, rowInputs } = options
  return {
    name,
    isExact,
    isTraining,
    numRows,
    ...(graph && { graph }),
    weights,
    states,
    build(g, rows, tensors) {
      const inputs: Record<string, GraphTensor> = {}
      for (const [key, { dtype, columns }] of Object.entries(rowInputs)) {
        inputs[key] = g.input(key, dtype, columns === undefined ? [rows] : [rows, columns])
      }
      for (const [key, tensor] of Object.entries(options.build(g, { ...tensors, ...inputs }))) g.output(key, tensor)
    },
    inputs: (selection) =>
      Object.fromEntries(Object.entries(rowInputs).map(([key, { data }]) => [key, pickRows(data, numRows, selection)])),
  }
}

function floatRows(random: Random, numRows: number, columns: number, scale = 1) {
  return { data: random.floats(numRows * columns, scale), dtype: 'F32' as const, columns }
}

function words(values: ArrayLike<number>) {
  return { data: Uint32Array.from(values), dtype: 'U32' as const }
}

/** A random matrix of a device dtype in that dtype's own format. */
function randomWeight(random: Random, name: string, dtype: DeviceDType, shape: [number, number]) {
  const elements = shape[0] * shape[1]
  const isInBlocks = dtype === 'Q4K' || dtype === 'F8'
  const { format, bytes } = isInBlocks
    ? randomBlocks(random, dtype, elements)
    : encodeFloats(random.floats(elements), dtype)
  return { name, format: format as WeightFormat, shape, data: bytes, dtype }
}

function randomVector(random: Random, name: string, length: number) {
  return { name, format: 'F32' as const, shape: [length], data: random.floats(length), dtype: 'F32' as const }
}

function randomCache(random: Random, dtype: DeviceDType, slots: number, columns: number) {
  return { dtype, shape: [slots, columns], data: random.elements(dtype, slots * columns) }
}

/** As many columns as this many times 32, or the next whole blocks. */
function columnsOf(dtype: DeviceDType, count: number): number {
  const block = packedColumns[dtype] ?? 32
  return Math.ceil((32 * count) / block) * block
}

const cacheDTypes: readonly DeviceDType[] = ['F32', 'F16', 'BF16']

function linearScenario(
  random: Random,
  dtype: DeviceDType,
  activationBlock: 0 | 16 | 32,
  size: Size = 1,
  extents: { readonly numRows?: number; readonly columns?: number } = {},
): Scenario {
  const numRows = extents.numRows ?? random.integer(2, 19)
  const out = size * random.integer(1, 70) + 1
  const columns = extents.columns ?? columnsOf(dtype, random.integer(1, 7) * (dtype === 'Q4K' ? 3 : 1))
  const [hasBias, hasResidual] = [random.next() < 0.5, random.next() < 0.5]
  const takesIntegers = integerDTypes.includes(dtype)
  return rowScenario({
    name: `linear ${dtype} [${out}, ${columns}], activations ${takesIntegers ? activationBlock : 0}`,
    isExact: takesIntegers && activationBlock > 0,
    graph: { activationBlock },
    numRows,
    weights: { weight: randomWeight(random, 'weight', dtype, [out, columns]), bias: randomVector(random, 'bias', out) },
    rowInputs: { x: floatRows(random, numRows, columns), residual: floatRows(random, numRows, out) },
    build: (g, { x, weight, bias, residual }) => ({
      y: g.linear(x!, weight!, { ...(hasBias && { bias: bias! }), ...(hasResidual && { residual: residual! }) }),
    }),
  })
}

function gateUpScenario(random: Random, dtype: DeviceDType, activationBlock: 0 | 16 | 32, size: Size = 1): Scenario {
  const numRows = random.integer(2, 11)
  const [width, columns] = [size * random.integer(1, 40), columnsOf(dtype, random.integer(1, 5))]
  return rowScenario({
    name: `gate and up ${dtype} [2 · ${width}, ${columns}], activations ${activationBlock}`,
    isExact: integerDTypes.includes(dtype) && activationBlock > 0,
    graph: { activationBlock },
    numRows,
    weights: { weight: randomWeight(random, 'weight', dtype, [2 * width, columns]) },
    rowInputs: { x: floatRows(random, numRows, columns, 3) },
    build(g, { x, weight }) {
      const [gate, up] = g.split(g.linear(x!, weight!), [width, width])
      return { y: g.siluMul(gate, up) }
    },
  })
}

function qkvScenario(random: Random, dtype: DeviceDType, activationBlock: 0 | 16 | 32, size: Size = 1): Scenario {
  const numRows = random.integer(2, 9)
  const kvHeads = random.integer(1, 3)
  const heads = kvHeads * random.integer(1, 3)
  const headSize = 2 * random.integer(2, 17) * (size > 1 ? 4 : 1)
  const columns = columnsOf(dtype, random.integer(1, 4))
  const [slots, positions] = [24, 40]
  const out = (heads + 2 * kvHeads) * headSize
  const cacheDType = random.pick(cacheDTypes)
  const hasNorms = random.next() < 0.5
  const pairing = random.pick(['halves', 'interleaved'] as const)
  return rowScenario({
    name: `qkv ${dtype} ${heads}/${kvHeads} × ${headSize} ${pairing}${hasNorms ? ' with norms' : ''} into ${cacheDType}`,
    isExact: activationBlock > 0,
    graph: { activationBlock },
    numRows,
    weights: {
      weight: randomWeight(random, 'weight', dtype, [out, columns]),
      bias: randomVector(random, 'bias', out),
      qNorm: randomVector(random, 'qNorm', headSize),
      kNorm: randomVector(random, 'kNorm', headSize),
      table: {
        name: 'table',
        format: 'F32',
        shape: [positions, headSize],
        data: ropeTable({ headSize, positions }),
        dtype: 'F32',
        layout: 'plain',
      },
    },
    states: {
      keys: randomCache(random, cacheDType, slots, kvHeads * headSize),
      values: randomCache(random, cacheDType, slots, kvHeads * headSize),
    },
    rowInputs: {
      x: floatRows(random, numRows, columns),
      positions: words(Array.from({ length: numRows }, () => random.integer(0, positions - 1))),
      slots: words(random.permutation(slots).slice(0, numRows)),
    },
    build(g, { x, weight, bias, qNorm, kNorm, table, keys, values, positions: at, slots: to }) {
      const options = { headSize, pairing }
      const sizes = [heads * headSize, kvHeads * headSize, kvHeads * headSize] as const
      const [q, k, v] = g.split(g.linear(x!, weight!, { bias: bias! }), sizes)
      const norm = (part: GraphTensor, factors: GraphTensor) => (hasNorms ? g.rmsNorm(part, factors, 1e-6) : part)
      const rotated = g.rope(norm(q, qNorm!), at!, table!, options)
      g.cacheWrite(keys!, g.rope(norm(k, kNorm!), at!, table!, options), to!)
      g.cacheWrite(values!, v, to!)
      return { q: rotated, storedKeys: g.gatherRows(keys!, to!), storedValues: g.gatherRows(values!, to!) }
    },
  })
}

function normScenario(random: Random, size = random.integer(1, 90)): Scenario {
  const numRows = random.integer(2, 9)
  const groups = random.integer(1, 4)
  return rowScenario({
    name: `rmsNorm ${groups} × ${size}`,
    numRows,
    weights: { weight: randomVector(random, 'weight', size) },
    rowInputs: { x: floatRows(random, numRows, groups * size) },
    build: (g, { x, weight }) => ({ y: g.rmsNorm(x!, weight!, 1e-5) }),
  })
}

function addNormScenario(random: Random): Scenario {
  const numRows = random.integer(2, 9)
  const size = random.integer(1, 90)
  return rowScenario({
    name: `add and rmsNorm of ${size}`,
    numRows,
    weights: { weight: randomVector(random, 'weight', size) },
    rowInputs: { x: floatRows(random, numRows, size), residual: floatRows(random, numRows, size) },
    build(g, { x, residual, weight }) {
      const hidden = g.add(x!, residual!)
      return { y: g.rmsNorm(hidden, weight!, 1e-5), hidden }
    },
  })
}

function elementwiseScenario(random: Random): Scenario {
  const numRows = random.integer(2, 9)
  const columns = random.integer(2, 67)
  const from = random.integer(0, columns - 1)
  return rowScenario({
    name: `add, mul, siluMul, concat and slice of ${columns}`,
    numRows,
    rowInputs: { a: floatRows(random, numRows, columns, 30), b: floatRows(random, numRows, columns, 30) },
    build: (g, { a, b }) => ({
      sum: g.add(a!, b!),
      product: g.mul(a!, b!),
      gated: g.siluMul(a!, b!),
      joined: g.concat(a!, b!),
      part: g.slice(a!, from, columns - from),
    }),
  })
}

function embeddingScenario(random: Random, dtype: DeviceDType): Scenario {
  const numRows = random.integer(2, 9)
  const [vocab, columns] = [random.integer(1, 40), columnsOf(dtype, random.integer(1, 12))]
  return rowScenario({
    name: `embedding ${dtype} [${vocab}, ${columns}]`,
    numRows,
    weights: { table: randomWeight(random, 'table', dtype, [vocab, columns]) },
    rowInputs: { tokens: words(Array.from({ length: numRows }, () => random.integer(0, vocab - 1))) },
    build: (g, { tokens, table }) => ({ y: g.embedding(tokens!, table!) }),
  })
}

function cacheScenario(random: Random): Scenario {
  const numRows = random.integer(2, 9)
  const [slots, columns] = [20, random.integer(1, 50)]
  const dtype = random.pick(cacheDTypes)
  const places = random.permutation(slots)
  return rowScenario({
    name: `cacheWrite, cacheCopy and gatherRows of ${dtype}`,
    numRows,
    states: { cache: randomCache(random, dtype, slots, columns) },
    rowInputs: {
      x: floatRows(random, numRows, columns, 100),
      slots: words(places.slice(0, numRows)),
      copies: words(places.slice(numRows, 2 * numRows)),
    },
    build(g, { x, slots: to, copies, cache }) {
      g.cacheWrite(cache!, x!, to!)
      g.cacheCopy(cache!, to!, copies!)
      return { written: g.gatherRows(cache!, to!), copied: g.gatherRows(cache!, copies!) }
    },
  })
}

function choiceScenario(random: Random, size: Size = 1, shortest = 4): Scenario {
  const numRows = random.integer(2, 9)
  const columns = size * random.integer(shortest, 700)
  const k = random.integer(1, Math.min(columns, 20))
  // Few distinct values, so that there are ties.
  const data = random.floats(numRows * columns, 4).map((value) => Math.round(value * 4) / 4)
  return rowScenario({
    name: `argMax, topK ${k} and logSoftmax of ${columns}`,
    numRows,
    rowInputs: { x: { data, dtype: 'F32', columns } },
    build(g, { x }) {
      const { ids, values } = g.topK(x!, k)
      return { token: g.argMax(x!), ids, values, logProbs: g.logSoftmax(x!) }
    },
  })
}

function gumbelScenario(random: Random, size: Size = 1): Scenario {
  const numRows = random.integer(2, 9)
  const columns = size * random.integer(1, 300)
  const seeds = Uint32Array.from({ length: 2 * numRows }, () => random.integer(0, 2 ** 32 - 1))
  const temperatures = Float64Array.from({ length: numRows }, () => random.pick([0, 1, 0.7, 1 / 3, 100]))
  return rowScenario({
    name: `gumbelArgMax of ${columns}`,
    numRows,
    rowInputs: {
      x: floatRows(random, numRows, columns, 6),
      temperatures: { data: new Uint32Array(temperatures.buffer), dtype: 'U32', columns: 2 },
      positions: words(Array.from({ length: numRows }, () => random.integer(0, 2 ** 32 - 1))),
      seeds: { data: seeds, dtype: 'U32', columns: 2 },
    },
    build: (g, { x, temperatures: heats, positions, seeds: keys }) => ({
      token: g.gumbelArgMax(x!, heats!, positions!, keys!),
    }),
  })
}

/** What training computes row by row; where it sums over rows, see training-cases.ts. */
function trainingScenario(random: Random, size: Size = 1): Scenario {
  const numRows = random.integer(2, 19)
  const [columns, tokens] = [random.integer(1, 70), size * random.integer(3, 40)]
  const lmHead = random.floats(tokens * columns)
  return rowScenario({
    name: `products, gradients and distillation of ${columns} over ${tokens} tokens`,
    isExact: false,
    isTraining: true,
    numRows,
    weights: {
      lmHead: { name: 'lmHead', format: 'F32', shape: [tokens, columns], data: lmHead, dtype: 'F32', layout: 'plain' },
      norm: randomVector(random, 'norm', columns),
    },
    rowInputs: {
      x: floatRows(random, numRows, columns),
      target: floatRows(random, numRows, columns),
      dy: floatRows(random, numRows, columns),
      rowWeights: { data: random.floats(numRows), dtype: 'F32' },
    },
    build(g, { x, target, dy, rowWeights, lmHead: head, norm }) {
      const logits = g.plainLinear(x!, head!)
      const [dgate, dup] = g.emit(siluMulGradient, [x, target, dy])
      const { losses, gradient } = g.distillation(x!, target!, {
        targetProbs: g.softmax(g.plainLinear(target!, head!)),
        lmHead: head!,
        featureWeights: rowWeights!,
        tokenWeights: rowWeights!,
        topK: 3,
        weights: { feature: 1, token: 0.1, topK: 1 },
      })
      return {
        logits,
        back: g.emit(matmul, [logits, head])[0]!,
        normed: g.emit(rmsNormGradient, [x, norm, dy], { eps: 1e-5 })[0]!,
        dgate: dgate!,
        dup: dup!,
        losses,
        gradient,
      }
    },
  })
}

/** One round of scenarios over all operations and dtypes, with random shapes. */
export function createScenarios(random: Random): Scenario[] {
  const blocks = [0, 16, 32] as const
  const packed = ['Q4', 'Q8', 'Q4K'] as const
  return [
    ...weightDTypes.map((dtype) => linearScenario(random, dtype, 32)),
    ...packed.flatMap((dtype) => blocks.map((block) => linearScenario(random, dtype, block))),
    ...packed.map((dtype) => gateUpScenario(random, dtype, random.pick(blocks))),
    gateUpScenario(random, 'F32', 0),
    gateUpScenario(random, 'F8', 0),
    ...packed.map((dtype) => qkvScenario(random, dtype, random.pick([16, 32] as const))),
    qkvScenario(random, 'F16', 0),
    qkvScenario(random, 'F8', 0),
    normScenario(random),
    addNormScenario(random),
    elementwiseScenario(random),
    ...weightDTypes.map((dtype) => embeddingScenario(random, dtype)),
    cacheScenario(random),
    choiceScenario(random),
    gumbelScenario(random),
    trainingScenario(random),
    ...cacheDTypes.map((dtype) => attentionScenario(random, { dtype })),
  ]
}

/** Scenarios whose operations are large enough to be shared among threads. */
export function createLargeScenarios(random: Random): Scenario[] {
  return [
    linearScenario(random, 'Q4', 32, 20),
    linearScenario(random, 'Q8', 16, 20),
    linearScenario(random, 'Q4', 0, 20),
    linearScenario(random, 'F32', 0, 20),
    linearScenario(random, 'Q4K', 32, 20),
    linearScenario(random, 'F8', 0, 20),
    gateUpScenario(random, 'Q4', 32, 20),
    qkvScenario(random, 'Q4', 32, 20),
    choiceScenario(random, 20),
    gumbelScenario(random, 20),
    trainingScenario(random, 20),
    attentionScenario(random, { dtype: 'F16', longest: 400 }),
  ]
}

/** Scenarios that no tile of a kernel holds whole: many rows, inputs, positions or columns. */
export function createTiledScenarios(random: Random): Scenario[] {
  return [
    linearScenario(random, 'Q4', 32, 1, { numRows: 90 }),
    linearScenario(random, 'Q8', 16, 1, { numRows: 70 }),
    linearScenario(random, 'BF16', 0, 1, { numRows: 75 }),
    linearScenario(random, 'Q4', 16, 1, { columns: 32 * 41 }),
    linearScenario(random, 'Q8', 32, 1, { columns: 32 * 38 }),
    linearScenario(random, 'F32', 0, 1, { columns: 650 }),
    linearScenario(random, 'F16', 0, 1, { columns: 514, numRows: 33 }),
    linearScenario(random, 'Q4', 0, 1, { columns: 32 * 14 }),
    linearScenario(random, 'Q4K', 16, 1, { columns: 256 * 5, numRows: 70 }),
    linearScenario(random, 'Q4K', 0, 1, { columns: 256 * 2, numRows: 17 }),
    linearScenario(random, 'F8', 0, 1, { columns: 128 * 7, numRows: 75 }),
    normScenario(random, 2100),
    choiceScenario(random, 4, 300),
    attentionScenario(random, { dtype: 'BF16', branches: 40 }),
    attentionScenario(random, { dtype: 'F16', shortest: 1030, longest: 1100, branches: 2 }),
    ...cacheDTypes.map((dtype) => attentionScenario(random, { dtype, longest: 400 })),
  ]
}
