import { checkOptionKeys } from '@hass-engine/core'
import { NotDifferentiableError } from '../errors.js'
import type { Graph, GraphNode } from '../graph/graph.js'
import type { GraphTensor } from '../graph/graph-tensor.js'

export interface DifferentiateOptions {
  /** Where gradients start: computed tensors and the gradient of the loss by each, of the same shape. */
  readonly seeds: ReadonlyMap<GraphTensor, GraphTensor>
  /** Parameters, which are states, and the states of their shapes on top of which their gradients are added. */
  readonly accumulators?: ReadonlyMap<GraphTensor, GraphTensor>
  /** Other tensors whose gradients are asked for. Defaults to none. */
  readonly wanted?: readonly GraphTensor[]
  /** Tensors that are taken for constants: no gradient flows through them. Defaults to none. */
  readonly constants?: Iterable<GraphTensor>
}

/**
 * Appends to a graph the operations that compute gradients, in reverse mode: from the seeds backwards through every
 * operation on which they and a parameter or wanted tensor depend, by the operations' own rules.
 *
 * @returns the gradients of the wanted tensors; a tensor on which no seed depends has none
 * @throws NotDifferentiableError `HASS_ERR_NOT_DIFFERENTIABLE` where a gradient would have to flow through an operation
 *   that has no rule, or into an operand that has no gradient
 */
export function differentiate(graph: Graph, options: DifferentiateOptions): Map<GraphTensor, GraphTensor> {
  checkOptionKeys(options, ['seeds', 'accumulators', 'wanted', 'constants'], 'differentiate')
  const { accumulators = new Map<GraphTensor, GraphTensor>(), wanted = [] } = options
  const nodes = [...graph.nodes]
  const active = reach(nodes, [...accumulators.keys(), ...wanted], new Set(options.constants))
  const gradients = new Map(options.seeds)
  for (const node of nodes.reverse()) {
    const { outputs, inputs } = partsOf(node)
    const outputGradients = outputs.map((output) => gradients.get(output!))
    const isOnPath = outputs.some((output) => active.has(output!)) && inputs.some((input) => input && active.has(input))
    if (!isOnPath || outputGradients.every((gradient) => !gradient)) continue
    for (const [input, gradient] of reverse(graph, node, outputGradients, active, accumulators)) {
      const known = gradients.get(input)
      gradients.set(input, known ? graph.add(known, gradient) : gradient)
    }
  }
  return new Map(wanted.flatMap((tensor) => (gradients.has(tensor) ? [[tensor, gradients.get(tensor)!]] : [])))
}

/** All tensors that depend on the sources, these included, without passing a constant. */
function reach(nodes: readonly GraphNode[], sources: readonly GraphTensor[], constants: Set<GraphTensor>) {
  const active = new Set(sources)
  for (const node of nodes) {
    const { outputs, inputs } = partsOf(node)
    if (!inputs.some((input) => input && active.has(input))) continue
    for (const output of outputs) if (!constants.has(output!)) active.add(output!)
  }
  return active
}

function partsOf({ operation, operands }: GraphNode) {
  const numOutputs = operation.operands.filter(({ access }) => access === 'write').length
  return { outputs: operands.slice(0, numOutputs), inputs: operands.slice(numOutputs) }
}

/** One node's rule: the gradients of its active inputs that are no parameters. */
function reverse(
  graph: Graph,
  node: GraphNode,
  outputGradients: readonly (GraphTensor | undefined)[],
  active: ReadonlySet<GraphTensor>,
  accumulators: ReadonlyMap<GraphTensor, GraphTensor>,
): [GraphTensor, GraphTensor][] {
  const { operation, attributes } = node
  const { outputs, inputs } = partsOf(node)
  const refuse = (what: string, input?: GraphTensor) =>
    new NotDifferentiableError(
      `${operation.name} ${what}${input ? ` "${input.name}"` : ''}: take it out of the path of the gradient.`,
      { operation: operation.name, ...(input && { tensor: input.name }) },
    )
  if (!operation.vjp) throw refuse('has no gradient, only inference uses it')
  const first = graph.nodes.length
  const own = inputs.map((input) => input && accumulators.get(input))
  const wants = inputs.map((input, i) => input !== undefined && active.has(input) && !own[i])
  const found = operation.vjp({
    inputs: inputs as readonly GraphTensor[],
    outputs: outputs as readonly GraphTensor[],
    attributes,
    outputGradients,
    wants,
    accumulators: own,
    emit: (...parts) => graph.emit(...parts),
  })
  const written = graph.nodes.slice(first).map(({ operands }) => operands[0])
  return inputs.flatMap((input, i): [GraphTensor, GraphTensor][] => {
    if (own[i] && !written.includes(own[i])) throw refuse('has no gradient by the parameter', input)
    if (!wants[i]) return []
    if (!found[i]) throw refuse('has no gradient by', input)
    return [[input!, found[i]]]
  })
}
