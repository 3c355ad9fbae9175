import * as ops from '../operations/index.js'
import type { Operation } from '../operations/operation.js'
import { TensorKind } from '../program.js'
import type { Graph, GraphNode } from './graph.js'
import type { GraphTensor } from './graph-tensor.js'

/** A chain of nodes and the one node that takes their place. */
interface Fusion {
  readonly chain: readonly GraphNode[]
  readonly node: GraphNode
}

/**
 * The nodes of a graph with chains replaced by the fused operations that give the same bits: qkv linear with norms,
 * rope and cache writes; gate and up linear with silu · mul; add with RMSNorm.
 */
export function fuseGraph(graph: Graph): readonly GraphNode[] {
  let nodes: readonly GraphNode[] = graph.nodes
  for (const match of [matchQkv, matchGateUp, matchAddNorm]) {
    const uses = new Uses(graph, nodes)
    for (const node of nodes) {
      const fusion = nodes.includes(node) && match(node, uses)
      if (fusion) nodes = replace(nodes, fusion)
    }
  }
  return nodes
}

/** Who reads which tensor. */
class Uses {
  readonly #consumers = new Map<GraphTensor, GraphNode[]>()
  readonly #outputs: Set<GraphTensor>

  constructor(graph: Graph, nodes: readonly GraphNode[]) {
    this.#outputs = new Set(graph.outputs.values())
    for (const node of nodes) {
      for (const tensor of node.operands.slice(numOutputs(node))) {
        if (!tensor) continue
        const consumers = this.#consumers.get(tensor)
        if (consumers) consumers.push(node)
        else this.#consumers.set(tensor, [node])
      }
    }
  }

  /** The nodes that read a tensor, in order. */
  readers(tensor: GraphTensor): readonly GraphNode[] {
    return this.#consumers.get(tensor) ?? []
  }

  /** The same of a tensor that nobody outside the graph sees; none if it is an output. */
  of(tensor: GraphTensor | undefined): readonly GraphNode[] {
    return !tensor || this.#outputs.has(tensor) ? [] : this.readers(tensor)
  }

  /** The only consumer of a node's first output, if it is of the given operation. */
  only(node: GraphNode | undefined, operation: Operation): GraphNode | undefined {
    const [consumer, ...more] = this.of(node?.operands[0])
    return more.length === 0 && consumer?.operation === operation ? consumer : undefined
  }

  /** The slices that a linear's output is cut into from its first column to its last, if nothing else reads it. */
  slices(node: GraphNode, count: number): readonly GraphNode[] | undefined {
    const slices = this.of(node.operands[0])
    if (node.operation !== ops.linear || slices.length !== count) return undefined
    let from = 0
    for (const slice of slices) {
      if (slice.operation !== ops.sliceColumns || slice.attributes.from !== from) return undefined
      from += slice.operands[0]!.shape[1]!
    }
    return from === node.operands[0]!.shape[1] ? slices : undefined
  }
}

function numOutputs(node: GraphNode): number {
  return node.operation.operands.filter(({ access }) => access === 'write').length
}

function matchGateUp(linear: GraphNode, uses: Uses): Fusion | undefined {
  const slices = uses.slices(linear, 2)
  if (!slices) return undefined
  const [, x, weight, bias, residual] = linear.operands
  const [gate, up] = slices as [GraphNode, GraphNode]
  const product = uses.only(gate, ops.siluMul)
  const isPair = product?.operands[1] === gate.operands[0] && product?.operands[2] === up.operands[0]
  if (residual || !product || !isPair || uses.only(up, ops.siluMul) !== product) return undefined
  const { activationBlock } = linear.attributes
  return {
    chain: [linear, gate, up, product],
    node: {
      operation: ops.linearSiluMul,
      operands: [product.operands[0], x, weight, bias],
      attributes: { activationBlock: activationBlock! },
    },
  }
}

function matchAddNorm(sum: GraphNode, uses: Uses): Fusion | undefined {
  if (sum.operation !== ops.add) return undefined
  const [hidden, x, residual] = sum.operands
  // The sum lives on as an output of the fused operation, so it may have other readers.
  const norm = uses.readers(hidden!).find(({ operation }) => operation === ops.rmsNorm)
  if (!norm || norm.operands[2]!.shape[0] !== hidden!.shape[1]) return undefined
  return {
    chain: [sum, norm],
    node: {
      operation: ops.addRmsNorm,
      operands: [norm.operands[0], hidden, x, residual, norm.operands[2]],
      attributes: { eps: norm.attributes.eps! },
    },
  }
}

/** One of q, k: slice, perhaps a norm per head, rope. */
function matchHead(slice: GraphNode, uses: Uses): { norm?: GraphNode; rope: GraphNode } | undefined {
  const norm = uses.only(slice, ops.rmsNorm)
  const rope = uses.only(norm ?? slice, ops.rope)
  if (!rope || (norm && norm.operands[2]!.shape[0] !== rope.attributes.D)) return undefined
  return norm ? { norm, rope } : { rope }
}

function matchQkv(linear: GraphNode, uses: Uses): Fusion | undefined {
  const slices = uses.slices(linear, 3)
  if (!slices || linear.operands[4]) return undefined
  const [sliceQ, sliceK, sliceV] = slices as [GraphNode, GraphNode, GraphNode]
  const q = matchHead(sliceQ, uses)
  const k = matchHead(sliceK, uses)
  const writeK = uses.only(k?.rope, ops.cacheWrite)
  const writeV = uses.only(sliceV, ops.cacheWrite)
  if (!q || !k || !writeK || !writeV) return undefined
  const [, , positions, table] = q.rope.operands
  const { D, pairing } = q.rope.attributes
  const [keys, values] = [writeK.operands[0]!, writeV.operands[0]!]
  const isAlike =
    k.rope.operands[2] === positions &&
    k.rope.operands[3] === table &&
    k.rope.attributes.D === D &&
    k.rope.attributes.pairing === pairing &&
    writeK.operands[2] === writeV.operands[2] &&
    keys !== values &&
    sliceK.operands[0]!.shape[1] === sliceV.operands[0]!.shape[1] &&
    (!q.norm || !k.norm || q.norm.attributes.eps === k.norm.attributes.eps)
  if (!isAlike) return undefined
  const [, x, weight, bias] = linear.operands
  return {
    chain: [
      linear,
      ...slices,
      q.rope,
      k.rope,
      writeK,
      writeV,
      ...[q.norm, k.norm].filter((node) => node !== undefined),
    ],
    node: {
      operation: ops.qkvRopeCache,
      operands: [
        q.rope.operands[0],
        keys,
        values,
        x,
        weight,
        bias,
        q.norm?.operands[2],
        k.norm?.operands[2],
        positions,
        table,
        writeK.operands[2],
      ],
      attributes: {
        activationBlock: linear.attributes.activationBlock!,
        H: sliceQ.operands[0]!.shape[1]! / D!,
        G: sliceK.operands[0]!.shape[1]! / D!,
        D: D!,
        pairing: pairing!,
        eps: (q.norm ?? k.norm)?.attributes.eps ?? 0,
      },
    },
  }
}

/** Puts the fused node where the chain's last stood, unless a node between them would notice. */
function replace(nodes: readonly GraphNode[], { chain, node }: Fusion): readonly GraphNode[] {
  const places = chain.map((link) => nodes.indexOf(link))
  const [first, last] = [Math.min(...places), Math.max(...places)]
  const moved = new Set(
    chain.flatMap((link) =>
      link.operands.filter((tensor, i) => tensor && (i < numOutputs(link) || tensor.kind === TensorKind.STATE)),
    ),
  )
  const between = nodes.slice(first, last + 1).filter((other) => !chain.includes(other))
  if (between.some((other) => other.operands.some((tensor) => moved.has(tensor)))) return nodes
  return [...nodes.slice(0, first), ...between, node, ...nodes.slice(last + 1)]
}
