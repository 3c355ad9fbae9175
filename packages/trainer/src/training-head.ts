import type { AlignedContext, Graph, GraphTensor } from '@hass-engine/kernels'
import type { ModelConfig } from '@hass-engine/weights'

/** Keys and values of one source or several, `[slots, kvHeads · headSize] F32`. */
export interface SourceContext {
  readonly keys: GraphTensor
  readonly values: GraphTensor
}

/**
 * The draft head taken apart as alignment needs it: what reads features, what is seen of them, what is predicted.
 * The same mathematics as `hassHead` of the models package, over parameters that are states.
 */
export class TrainingHead {
  readonly #graph: Graph
  readonly #config: ModelConfig
  readonly #parameters: ReadonlyMap<string, GraphTensor>
  readonly #ropeTable: GraphTensor

  constructor(options: {
    graph: Graph
    config: ModelConfig
    parameters: ReadonlyMap<string, GraphTensor>
    ropeTable: GraphTensor
  }) {
    this.#graph = options.graph
    this.#config = options.config
    this.#parameters = options.parameters
    this.#ropeTable = options.ropeTable
  }

  /** `fc(concat(embed(x_{t+1}), f_t))`, `[rows, E]`. */
  combine(embedded: GraphTensor, features: GraphTensor): GraphTensor {
    return this.#project(this.#graph.concat(embedded, features), 'fc')
  }

  keysAndValues(h: GraphTensor, positions: GraphTensor): SourceContext {
    return {
      keys: this.#rotate(this.#project(h, 'layers.0.self_attn.k_proj'), positions, 'k_norm'),
      values: this.#project(h, 'layers.0.self_attn.v_proj'),
    }
  }

  /** The predicted features of the rows whose `combine` is `h`: no input norm, no final norm. */
  predict(h: GraphTensor, positions: GraphTensor, context: SourceContext, seen: AlignedContext): GraphTensor {
    const a = this.addAttention(h, this.attend(h, positions, context, seen))
    return this.#project(this.gate(a), 'layers.0.mlp.down_proj', a)
  }

  /** What the attention's output projection reads, `[rows, heads · headSize]`. */
  attend(h: GraphTensor, positions: GraphTensor, context: SourceContext, seen: AlignedContext): GraphTensor {
    const { heads, kvHeads } = this.#config
    const q = this.#rotate(this.#project(h, 'layers.0.self_attn.q_proj'), positions, 'q_norm')
    return this.#graph.alignedAttention(q, context.keys, context.values, seen, { heads, kvHeads })
  }

  addAttention(h: GraphTensor, attended: GraphTensor): GraphTensor {
    return this.#project(attended, 'layers.0.self_attn.o_proj', h)
  }

  /** What the MLP's output projection reads, `[rows, intermediate]`. */
  gate(a: GraphTensor): GraphTensor {
    const x = this.#norm(a, 'layers.0.post_attention_layernorm')
    return this.#graph.siluMul(this.#project(x, 'layers.0.mlp.gate_proj'), this.#project(x, 'layers.0.mlp.up_proj'))
  }

  #rotate(x: GraphTensor, positions: GraphTensor, norm: 'q_norm' | 'k_norm'): GraphTensor {
    const { hasQueryKeyNorm, headSize } = this.#config
    const normed = hasQueryKeyNorm ? this.#norm(x, `layers.0.self_attn.${norm}`) : x
    return this.#graph.rope(normed, positions, this.#ropeTable, { headSize })
  }

  #norm(x: GraphTensor, name: string): GraphTensor {
    return this.#graph.rmsNorm(x, this.#parameters.get(`${name}.weight`)!, this.#config.normEpsilon)
  }

  #project(x: GraphTensor, name: string, residual?: GraphTensor): GraphTensor {
    const bias = this.#parameters.get(`${name}.bias`)
    return this.#graph.linear(x, this.#parameters.get(`${name}.weight`)!, {
      ...(bias && { bias }),
      ...(residual && { residual }),
    })
  }
}

/** Shapes of a head's parameters by their published names; biases are there if `has` says so. */
export function headShapes(config: ModelConfig, has: (name: string) => boolean): Map<string, readonly number[]> {
  const { hiddenSize, intermediateSize, headSize } = config
  const [queries, keys] = [config.heads * headSize, config.kvHeads * headSize]
  const linears: [string, number, number][] = [
    ['fc', hiddenSize, 2 * hiddenSize],
    ['layers.0.self_attn.q_proj', queries, hiddenSize],
    ['layers.0.self_attn.k_proj', keys, hiddenSize],
    ['layers.0.self_attn.v_proj', keys, hiddenSize],
    ['layers.0.self_attn.o_proj', hiddenSize, queries],
    ['layers.0.mlp.gate_proj', intermediateSize, hiddenSize],
    ['layers.0.mlp.up_proj', intermediateSize, hiddenSize],
    ['layers.0.mlp.down_proj', hiddenSize, intermediateSize],
  ]
  const shapes = new Map<string, readonly number[]>()
  for (const [name, out, columns] of linears) {
    shapes.set(`${name}.weight`, [out, columns])
    if (has(`${name}.bias`)) shapes.set(`${name}.bias`, [out])
  }
  if (config.hasQueryKeyNorm) {
    for (const norm of ['q_norm', 'k_norm']) shapes.set(`layers.0.self_attn.${norm}.weight`, [headSize])
  }
  shapes.set('layers.0.post_attention_layernorm.weight', [hiddenSize])
  return shapes
}
