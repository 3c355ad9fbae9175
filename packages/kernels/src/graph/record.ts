import { floatToWord, none, type ProgramDescription, TensorKind } from '../program.js'
import type { Graph, GraphNode } from './graph.js'
import type { GraphTensor } from './graph-tensor.js'

/** A graph as a program, and where its tensors went. */
export interface RecordedGraph {
  readonly program: ProgramDescription
  /** The graph's tensors by their number in the program; fusing leaves some of the graph's out. */
  readonly tensors: readonly GraphTensor[]
}

/** Writes the nodes of a graph, fused or not, as a program; tensors that no node mentions are left out. */
export function recordGraph(graph: Graph, nodes: readonly GraphNode[]): RecordedGraph {
  const used = new Set(nodes.flatMap(({ operands }) => operands.filter((tensor) => tensor !== undefined)))
  const tensors = graph.tensors.filter((tensor) => used.has(tensor))
  const numbers = new Map(tensors.map((tensor, index) => [tensor, index]))
  const outputs = new Set(graph.outputs.values())
  const program: ProgramDescription = {
    dims: graph.dimensions.map(({ maxSize }) => maxSize),
    tensors: tensors.map((tensor) => ({
      kind: outputs.has(tensor) ? TensorKind.OUTPUT : tensor.kind,
      dtype: tensor.dtype,
      shape: tensor.shape,
    })),
    operations: nodes.map(({ operation, operands, attributes }) => ({
      opcode: operation.opcode,
      operands: operands.map((tensor) => (tensor ? numbers.get(tensor)! : none)),
      attributes: operation.attributes.map(({ name, type }) =>
        type === 'float' ? floatToWord(attributes[name]!) : attributes[name]!,
      ),
    })),
  }
  return { program, tensors }
}
