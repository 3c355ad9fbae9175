import type { DeviceTensor, Graph, GraphTensor } from '@hass-engine/kernels'

/** Uploaded tensors by name, declared in a graph the first time that it asks for them. */
export class GraphWeights {
  readonly #graph: Graph
  readonly #tensors: ReadonlyMap<string, DeviceTensor>
  readonly #declared: Map<string, GraphTensor>
  readonly #prefix: string

  constructor(
    graph: Graph,
    tensors: ReadonlyMap<string, DeviceTensor>,
    declared = new Map<string, GraphTensor>(),
    prefix = '',
  ) {
    this.#graph = graph
    this.#tensors = tensors
    this.#declared = declared
    this.#prefix = prefix
  }

  /** The weights whose names begin with `prefix`, by the rest of their names. */
  below(prefix: string): GraphWeights {
    return new GraphWeights(this.#graph, this.#tensors, this.#declared, this.#prefix + prefix)
  }

  get(name: string): GraphTensor {
    return this.#declare(this.#prefix + name, this.#tensors.get(this.#prefix + name)!)
  }

  find(name: string): GraphTensor | undefined {
    return this.#tensors.has(this.#prefix + name) ? this.get(name) : undefined
  }

  /** What the graph's weights are bound to. */
  bindings(): Record<string, DeviceTensor> {
    return Object.fromEntries([...this.#declared.keys()].map((name) => [name, this.#tensors.get(name)!]))
  }

  #declare(name: string, { dtype, shape }: DeviceTensor): GraphTensor {
    let tensor = this.#declared.get(name)
    if (!tensor) {
      tensor = this.#graph.weight(name, dtype, shape)
      this.#declared.set(name, tensor)
    }
    return tensor
  }
}
