import { checkNumber, checkOptionKeys } from '@hass-engine/core'
import { GraphError } from '../errors.js'
import * as ops from '../operations/index.js'
import { checkOperation, inferOutputs, type Operation } from '../operations/operation.js'
import { type Bindings, integerDTypes } from '../operations/signature.js'
import { type DeviceDType, packedColumns, TensorKind, type TensorKindCode } from '../program.js'
import type { AlignedContext, Dimension, Extent, GraphTensor, TreeContext } from './graph-tensor.js'

/** One recorded operation; operands in the order of its signature, outputs first. */
export interface GraphNode {
  readonly operation: Operation
  readonly operands: readonly (GraphTensor | undefined)[]
  readonly attributes: Readonly<Record<string, number>>
}

export interface GraphOptions {
  /**
   * How activations meet packed weights: 16 or 32 quantizes them to int8 with one scale per so many elements,
   * 0 keeps them float32. Float weights always meet float32 activations. Defaults to 32.
   */
  readonly activationBlock?: 0 | 16 | 32
}

export interface LinearOptions {
  /** `[out] F32`. Absent means none. */
  readonly bias?: GraphTensor
  /** `[rows, out] F32`, added to the result. Absent means none. */
  readonly residual?: GraphTensor
}

export interface RopeOptions {
  readonly headSize: number
  /** `halves` rotates element i with i + headSize / 2, `interleaved` 2i with 2i + 1. Defaults to `halves`. */
  readonly pairing?: 'halves' | 'interleaved'
}

export interface TreeAttentionOptions {
  readonly heads: number
  readonly kvHeads: number
  /** Factor of the scores. Defaults to headSize ^ -0.5. */
  readonly scale?: number
}

export interface DistillationOptions {
  /** `[rows, tokens] F32`, the target's distribution. */
  readonly targetProbs: GraphTensor
  /** `[tokens, hidden] F32`, plain. */
  readonly lmHead: GraphTensor
  /** `[rows] F32`, what each row's feature loss counts for in the gradient. */
  readonly featureWeights: GraphTensor
  /** `[rows] F32`, the same of the two token losses. */
  readonly tokenWeights: GraphTensor
  /** Tokens of the top-K loss. */
  readonly topK: number
  /** Weights of the losses in the gradient. */
  readonly weights: { readonly feature: number; readonly token: number; readonly topK: number }
}

export interface TreeContextOptions {
  /** Most sequences in one run. */
  readonly maxSequences: number
  /** Most committed slots of all sequences of one run together. */
  readonly maxContext: number
  /** Most ancestor slots of all rows together. Defaults to what one chain of all rows has. */
  readonly maxAncestors?: number
}

/** Element counts are 32-bit in kernels. */
const maxElements = 2 ** 31 - 1

/**
 * Starts an empty graph.
 *
 * @throws InvalidArgumentError for an unknown option or activation block
 */
export function createGraph(name: string, options: GraphOptions = {}): Graph {
  return new Graph(name, options)
}

/**
 * A computation over named tensors, recorded operation by operation in the order in which it will run; every call
 * checks shapes and dtypes at once and throws a GraphError that names the tensor.
 */
export class Graph {
  readonly name: string
  readonly activationBlock: 0 | 16 | 32
  readonly dimensions: Dimension[] = []
  readonly tensors: GraphTensor[] = []
  readonly nodes: GraphNode[] = []
  /** Names of outputs, and the tensors that they stand for. */
  readonly outputs = new Map<string, GraphTensor>()
  readonly #names = new Set<string>()

  constructor(name: string, options: GraphOptions = {}) {
    checkOptionKeys(options, ['activationBlock'], 'createGraph')
    const { activationBlock = 32 } = options
    if (activationBlock !== 0 && activationBlock !== 16 && activationBlock !== 32) {
      checkNumber(Number.NaN, `activationBlock ${String(activationBlock)} (one of 0, 16, 32)`)
    }
    this.name = name
    this.activationBlock = activationBlock
  }

  /** Declares a size that each run binds, from 0 to `maxSize`. */
  dimension(name: string, maxSize: number): Dimension {
    checkNumber(maxSize, `the size of dimension "${name}"`, { min: 0, max: maxElements, isInteger: true })
    if (this.dimensions.some((dimension) => dimension.name === name)) {
      throw new GraphError(`Graph "${this.name}" has two dimensions "${name}"; give each its own name.`, { name })
    }
    const dimension = { name, maxSize, index: this.dimensions.length }
    this.dimensions.push(dimension)
    return dimension
  }

  /** Declares a tensor whose elements each run brings. */
  input(name: string, dtype: DeviceDType, shape: readonly Extent[]): GraphTensor {
    return this.#declare(name, dtype, this.#extents(name, shape), TensorKind.INPUT)
  }

  /** Declares a tensor that stays as it was uploaded; packed dtypes are `[out, in]`, `in` a multiple of `packedColumns`. */
  weight(name: string, dtype: DeviceDType, shape: readonly number[]): GraphTensor {
    return this.#declare(name, dtype, this.#extents(name, shape), TensorKind.WEIGHT)
  }

  /** Declares a tensor that runs read and write, and that outlives them: a key or value cache `[slots, columns]`. */
  state(name: string, dtype: DeviceDType, shape: readonly number[]): GraphTensor {
    return this.#declare(name, dtype, this.#extents(name, shape), TensorKind.STATE)
  }

  /** Makes a computed tensor readable after each run, as `outputs[name]`. */
  output(name: string, tensor: GraphTensor): void {
    const isComputed = this.tensors[tensor.index] === tensor && tensor.kind === TensorKind.ACTIVATION
    const isTaken = this.outputs.has(name) || [...this.outputs.values()].includes(tensor)
    if (!isComputed || isTaken) {
      const why = isTaken ? 'it or its name is an output already' : 'no operation of this graph computes it'
      throw new GraphError(`"${tensor.name}" cannot be the output "${name}": ${why}.`, { name, tensor: tensor.name })
    }
    this.outputs.set(name, tensor)
  }

  /** `[rows, hidden] F32`: the rows of `table` `[vocab, hidden]` that `tokens` `[rows] U32` name. */
  embedding(tokens: GraphTensor, table: GraphTensor): GraphTensor {
    return this.#one(ops.embedding, [tokens, table])
  }

  /**
   * `x / sqrt(mean(x²) + eps) · weight` over each group of as many columns as `weight` `[size] F32` has: the whole
   * row, or each head of it.
   */
  rmsNorm(x: GraphTensor, weight: GraphTensor, eps: number): GraphTensor {
    return this.#one(ops.rmsNorm, [x, weight], { eps: checkNumber(eps, 'eps', { min: 0 }) })
  }

  /** `[rows, out] F32`: `x weightᵀ (+ bias) (+ residual)` for `x` `[rows, in]` and `weight` `[out, in]`. */
  linear(x: GraphTensor, weight: GraphTensor, options: LinearOptions = {}): GraphTensor {
    checkOptionKeys(options, ['bias', 'residual'], 'linear')
    // A state is a parameter that training changes, kept row by row: no kernel's layout survives an update.
    if (weight.kind === TensorKind.STATE) return this.#one(ops.plainLinear, [x, weight, options.bias, options.residual])
    const activationBlock = integerDTypes.includes(weight.dtype) ? this.activationBlock : 0
    return this.#one(ops.linear, [x, weight, options.bias, options.residual], { activationBlock })
  }

  /** `silu(gate) · up`, all `[rows, columns] F32`. */
  siluMul(gate: GraphTensor, up: GraphTensor): GraphTensor {
    return this.#one(ops.siluMul, [gate, up])
  }

  /** Rotates each head of `x` `[rows, heads · headSize]` by the angles of its row's position; see `ropeTable`. */
  rope(x: GraphTensor, positions: GraphTensor, table: GraphTensor, options: RopeOptions): GraphTensor {
    checkOptionKeys(options, ['headSize', 'pairing'], 'rope')
    const { headSize, pairing = 'halves' } = options
    if (pairing !== 'halves' && pairing !== 'interleaved') {
      throw new GraphError(`rope: pairing is "${String(pairing)}", expected "halves" or "interleaved".`)
    }
    checkNumber(headSize, 'rope headSize', { min: 2, isInteger: true })
    return this.#one(ops.rope, [x, positions, table], { D: headSize, pairing: pairing === 'halves' ? 0 : 1 })
  }

  /** Stores row r of `x` `[rows, columns]` in slot `slots[r]` of `cache` `[slots, columns]`, rounded to its dtype. */
  cacheWrite(cache: GraphTensor, x: GraphTensor, slots: GraphTensor): void {
    this.emit(ops.cacheWrite, [cache, x, slots])
  }

  /** Copies cache rows `from[i]` to `to[i]`; all are read before any is written. */
  cacheCopy(cache: GraphTensor, from: GraphTensor, to: GraphTensor): void {
    this.emit(ops.cacheCopy, [cache, from, to])
  }

  /** Declares the inputs of tree attention for rows `[rows]` under `prefix.`. */
  treeContext(rows: Dimension, options: TreeContextOptions, prefix = 'context'): TreeContext {
    checkOptionKeys(options, ['maxSequences', 'maxContext', 'maxAncestors'], 'treeContext')
    const { maxSequences, maxContext, maxAncestors = (rows.maxSize * (rows.maxSize + 1)) / 2 } = options
    const list = (name: string, maxSize: number) =>
      this.input(`${prefix}.${name}`, 'U32', [this.dimension(`${prefix}.${name}`, maxSize)])
    return {
      rowSequence: this.input(`${prefix}.rowSequence`, 'U32', [rows]),
      sequenceOffsets: list('sequenceOffsets', maxSequences + 1),
      contextSlots: list('contextSlots', maxContext),
      ancestorOffsets: list('ancestorOffsets', rows.maxSize + 1),
      ancestorSlots: list('ancestorSlots', maxAncestors),
    }
  }

  /**
   * Attention of `q` `[rows, heads · headSize]` over `keys` and `values` `[slots, kvHeads · headSize]`: each row sees
   * its sequence's committed slots, then its own ancestors and itself, in that order and nothing else.
   */
  treeAttention(
    q: GraphTensor,
    keys: GraphTensor,
    values: GraphTensor,
    context: TreeContext,
    options: TreeAttentionOptions,
  ): GraphTensor {
    const { heads, kvHeads, headSize, scale } = this.#attentionSizes(q, options, 'treeAttention')
    const { rowSequence, sequenceOffsets, contextSlots, ancestorOffsets, ancestorSlots } = context
    return this.#one(
      ops.treeAttention,
      [q, keys, values, rowSequence, sequenceOffsets, contextSlots, ancestorOffsets, ancestorSlots],
      { H: heads, G: kvHeads, D: headSize, scale },
    )
  }

  /** Rows `rows` `[selected] U32` of `x`, which is of any unpacked dtype. */
  gatherRows(x: GraphTensor, rows: GraphTensor): GraphTensor {
    return this.#one(ops.gatherRows, [x, rows])
  }

  /** Columns of `a`, then those of `b`. */
  concat(a: GraphTensor, b: GraphTensor): GraphTensor {
    return this.#one(ops.concatColumns, [a, b])
  }

  /** Columns `from` to `from + columns` of `x`. */
  slice(x: GraphTensor, from: number, columns: number): GraphTensor {
    checkNumber(from, 'slice from', { min: 0, isInteger: true })
    checkNumber(columns, 'slice columns', { min: 0, isInteger: true })
    return this.emit(ops.sliceColumns, [x], { from }, new Map([['N', columns]]))[0]!
  }

  /** Cuts the columns of `x` into parts of the given sizes, which must add up. */
  split<const Sizes extends readonly number[]>(x: GraphTensor, sizes: Sizes): { [Index in keyof Sizes]: GraphTensor } {
    const columns = x.shape.at(-1)!
    const sum = sizes.reduce((total, size) => total + size, 0)
    if (sum !== columns) {
      throw new GraphError(`split: "${x.name}" has ${columns} columns, expected ${sum} = ${sizes.join(' + ')}.`, {
        tensor: x.name,
        found: columns,
        expected: sum,
      })
    }
    let from = 0
    return sizes.map((size) => {
      from += size
      return this.slice(x, from - size, size)
    }) as { [Index in keyof Sizes]: GraphTensor }
  }

  /** `a + b`, `[rows, columns] F32` both. */
  add(a: GraphTensor, b: GraphTensor): GraphTensor {
    return this.#one(ops.add, [a, b])
  }

  /** `a · b` element by element, `[rows, columns] F32` both. */
  mul(a: GraphTensor, b: GraphTensor): GraphTensor {
    return this.#one(ops.mul, [a, b])
  }

  /** `[rows] U32`: the lowest id among the largest elements of each row. */
  argMax(x: GraphTensor): GraphTensor {
    return this.#one(ops.argMax, [x])
  }

  /** The `k` largest elements of each row, falling; `ids` `[rows, k] U32`, `values` `[rows, k] F32`. */
  topK(x: GraphTensor, k: number): { ids: GraphTensor; values: GraphTensor } {
    checkNumber(k, 'topK k', { min: 1, isInteger: true })
    const [ids, values] = this.emit(ops.topK, [x], { K: k })
    return { ids: ids!, values: values! }
  }

  /** `x - log(sum(exp(x)))` of each row. */
  logSoftmax(x: GraphTensor): GraphTensor {
    return this.#one(ops.logSoftmax, [x])
  }

  /**
   * `[rows] U32`: `argmax_v(x_v / temperature + G(seed, position, v))` of each row.
   *
   * @param temperatures `[rows, 2] U32`, the words of float64 numbers, low first; 0 takes the arg max
   * @param positions `[rows] U32`, absolute index of the token being chosen
   * @param seeds `[rows, 2] U32`, low and high word
   */
  gumbelArgMax(x: GraphTensor, temperatures: GraphTensor, positions: GraphTensor, seeds: GraphTensor): GraphTensor {
    return this.#one(ops.gumbelArgMax, [x, temperatures, positions, seeds])
  }

  /** `exp(x) / Σ exp(x)` of each row. */
  softmax(x: GraphTensor): GraphTensor {
    return this.#one(ops.softmax, [x])
  }

  /** `x weightᵀ` of a plain, row-major weight that no kernel has packed. */
  plainLinear(x: GraphTensor, weight: GraphTensor): GraphTensor {
    return this.#one(ops.plainLinear, [x, weight, undefined, undefined])
  }

  /** Rows of `a`, then those of `b`; `rows`, the extent of the result, must be their sum in every run. */
  concatRows(a: GraphTensor, b: GraphTensor, rows: Extent): GraphTensor {
    return this.emit(ops.concatRows, [a, b], {}, new Map([['S', this.#extents('concatRows', [rows])[0]!]]))[0]!
  }

  /**
   * Attention of each row of `q` `[rows, heads · headSize]` over `keys` and `values` `[slots, kvHeads · headSize]`:
   * slots `begins[r]` to `ends[r]`, then the row's own list of near slots.
   */
  alignedAttention(
    q: GraphTensor,
    keys: GraphTensor,
    values: GraphTensor,
    context: AlignedContext,
    options: TreeAttentionOptions,
  ): GraphTensor {
    const { heads, kvHeads, headSize, scale } = this.#attentionSizes(q, options, 'alignedAttention')
    const { begins, ends, nearOffsets, near } = context
    return this.#one(ops.alignedAttention, [q, keys, values, begins, ends, nearOffsets, near], {
      H: heads,
      G: kvHeads,
      D: headSize,
      scale,
    })
  }

  /**
   * The harmonized objective of HASS, row by row, and its gradient by `prediction` `[rows, hidden]`; see the
   * operation. `losses` `[rows, 4]` are feature, token, topK and agreement.
   */
  distillation(
    prediction: GraphTensor,
    target: GraphTensor,
    options: DistillationOptions,
  ): { losses: GraphTensor; gradient: GraphTensor } {
    const keys = ['targetProbs', 'lmHead', 'featureWeights', 'tokenWeights', 'topK', 'weights'] as const
    checkOptionKeys(options, keys, 'distillation')
    const { targetProbs, lmHead, featureWeights, tokenWeights, topK, weights } = options
    const [losses, gradient] = this.emit(
      ops.distillation,
      [prediction, target, targetProbs, lmHead, featureWeights, tokenWeights],
      {
        K: topK,
        wFeature: weights.feature,
        wToken: weights.token,
        wTopK: weights.topK,
      },
    )
    return { losses: losses!, gradient: gradient! }
  }

  /** Records any operation of the table; what the methods above are made of. */
  emit(
    operation: Operation,
    inputs: readonly (GraphTensor | undefined)[],
    attributes: Readonly<Record<string, number>> = {},
    known?: Bindings,
  ): GraphTensor[] {
    for (const tensor of inputs) {
      if (tensor && this.tensors[tensor.index] !== tensor) {
        throw new GraphError(`${operation.name}: "${tensor.name}" belongs to another graph than "${this.name}".`, {
          tensor: tensor.name,
        })
      }
    }
    const outputRoles = operation.operands.filter(({ access }) => access === 'write')
    const shapes = inputs.map((tensor) => tensor && { ...tensor, isState: tensor.kind === TensorKind.STATE })
    const bindings = checkOperation(
      operation,
      [...outputRoles.map(() => undefined), ...shapes],
      attributes,
      (extent) => this.describeExtent(extent),
      known,
    )
    const outputs = inferOutputs(operation, bindings).map((shape, i) => {
      const [dtype] = outputRoles[i]!.dtypes.length === 1 ? outputRoles[i]!.dtypes : [inputs[0]!.dtype]
      return this.#declare(`${operation.name}#${this.nodes.length}`, dtype!, shape, TensorKind.ACTIVATION, i > 0)
    })
    this.nodes.push({ operation, operands: [...outputs, ...inputs], attributes })
    return outputs
  }

  /** An extent for people: a dimension by its name. */
  describeExtent(extent: number): string {
    return extent < 0 ? (this.dimensions[-1 - extent]?.name ?? '?') : String(extent)
  }

  #attentionSizes(q: GraphTensor, options: TreeAttentionOptions, what: string) {
    checkOptionKeys(options, ['heads', 'kvHeads', 'scale'], what)
    const { heads, kvHeads } = options
    checkNumber(heads, 'heads', { min: 1, isInteger: true })
    const headSize = (q.shape.at(-1) ?? 0) / heads
    checkNumber(headSize, `columns of "${q.name}" per head`, { min: 1, isInteger: true })
    return { heads, kvHeads, headSize, scale: checkNumber(options.scale ?? headSize ** -0.5, 'scale') }
  }

  #one(
    operation: Operation,
    inputs: readonly (GraphTensor | undefined)[],
    attributes: Readonly<Record<string, number>> = {},
  ): GraphTensor {
    return this.emit(operation, inputs, attributes)[0]!
  }

  #extents(name: string, shape: readonly Extent[]): number[] {
    return shape.map((extent) => {
      if (typeof extent === 'number') {
        return checkNumber(extent, `an extent of "${name}"`, { min: 0, max: maxElements, isInteger: true })
      }
      if (this.dimensions[extent.index] === extent) return -1 - extent.index
      throw new GraphError(`"${name}" uses the dimension "${extent.name}" of another graph.`, { name })
    })
  }

  #declare(
    name: string,
    dtype: DeviceDType,
    shape: readonly number[],
    kind: TensorKindCode,
    mayRepeatName = false,
  ): GraphTensor {
    if (this.#names.has(name) && !mayRepeatName) {
      throw new GraphError(`Graph "${this.name}" has two tensors "${name}"; give each its own name.`, { name })
    }
    if (shape.length < 1 || shape.length > 4) {
      throw new GraphError(`"${name}" has ${shape.length} extents, expected 1 to 4.`, { name, shape })
    }
    const block = packedColumns[dtype]
    if (block && (kind !== TensorKind.WEIGHT || shape.length !== 2 || shape[1]! % block !== 0)) {
      throw new GraphError(
        `"${name}" is [${shape}] ${dtype}, expected a weight [out, in] with a multiple of ${block} columns.`,
        { name, shape, dtype },
      )
    }
    const sizes = shape.map((extent) => (extent < 0 ? this.dimensions[-1 - extent]!.maxSize : extent))
    const elements = sizes.reduce((product, size) => product * size, 1)
    if (elements > maxElements) {
      throw new GraphError(
        `"${name}" is [${shape.map((extent) => this.describeExtent(extent)).join(', ')}], up to ${elements} elements, expected at most 2^31 - 1; make a dimension smaller.`,
        { name, shape: sizes, elements },
      )
    }
    this.#names.add(name)
    const tensor: GraphTensor = { name, dtype, shape, kind, index: this.tensors.length }
    this.tensors.push(tensor)
    return tensor
  }
}
