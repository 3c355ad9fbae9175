import type { Graph, GraphTensor, TreeContext } from '@hass-engine/kernels'
import type { ModelConfig } from '@hass-engine/weights'
import type { GraphWeights } from '../weights/graph-weights.js'

/** Keys and values of one layer, `[slots, kvHeads · headSize]` each. */
export interface LayerCache {
  readonly keys: GraphTensor
  readonly values: GraphTensor
}

/** What the layers of one forward pass share. R rows, E hidden size, H heads, K kv heads, D head size. */
export interface DecoderPass {
  readonly graph: Graph
  readonly config: ModelConfig
  readonly weights: GraphWeights
  /** `[R] U32` */
  readonly tokens: GraphTensor
  /** `[R] U32` */
  readonly positions: GraphTensor
  /** `[R] U32`, where each row's key and value are kept */
  readonly slots: GraphTensor
  readonly context: TreeContext
  /** `[positions, D] F32` */
  readonly ropeTable: GraphTensor
  readonly caches: readonly LayerCache[]
  /** Sees intermediate rows by the names that tests know them by. */
  readonly observe?: (name: string, rows: GraphTensor) => void
}

/** Builds a model's forward pass: from the rows' tokens to their features `[R, E]`. */
export type Architecture = (pass: DecoderPass) => GraphTensor

/** One layer of a decoder while its graph is being built: the pieces that architectures are put together from. */
export class DecoderLayer {
  readonly #pass: DecoderPass
  readonly #weights: GraphWeights
  readonly #cache: LayerCache

  constructor(pass: DecoderPass, layer: number) {
    this.#pass = pass
    this.#weights = pass.weights.below(`layers.${layer}.`)
    this.#cache = pass.caches[layer]!
  }

  /** RMSNorm of whole rows, or of each head where the weight has a head's size. */
  norm(x: GraphTensor, name: string): GraphTensor {
    return this.#pass.graph.rmsNorm(x, this.#weights.get(`${name}.weight`), this.#pass.config.normEpsilon)
  }

  /** The projections of `x` `[R, E]`, with biases where the model has them: q `[R, H·D]`, k and v `[R, K·D]`. */
  queryKeyValue(x: GraphTensor): readonly [q: GraphTensor, k: GraphTensor, v: GraphTensor] {
    const { heads, kvHeads, headSize } = this.#pass.config
    const sizes = [heads * headSize, kvHeads * headSize, kvHeads * headSize] as const
    return this.#pass.graph.split(project(this.#pass.graph, this.#weights, x, 'self_attn.qkv_proj'), sizes)
  }

  /** Rotary embedding of each head by its row's position. */
  rotate(x: GraphTensor): GraphTensor {
    const { graph, positions, ropeTable, config } = this.#pass
    return graph.rope(x, positions, ropeTable, { headSize: config.headSize })
  }

  /** Stores k and v, lets q see its context as it is stored, projects what it saw: `[R, E]`. */
  attend(q: GraphTensor, k: GraphTensor, v: GraphTensor): GraphTensor {
    const { graph, slots, context, config } = this.#pass
    const { keys, values } = this.#cache
    graph.cacheWrite(keys, k, slots)
    graph.cacheWrite(values, v, slots)
    const { heads, kvHeads } = config
    const seen = graph.treeAttention(q, keys, values, context, { heads, kvHeads })
    return project(graph, this.#weights, seen, 'self_attn.o_proj')
  }

  /** `down(silu(gate(x)) · up(x))`, SwiGLU of arXiv 2002.05202. */
  mlp(x: GraphTensor): GraphTensor {
    const { graph, config } = this.#pass
    const { intermediateSize: size } = config
    const [gate, up] = graph.split(project(graph, this.#weights, x, 'mlp.gate_up_proj'), [size, size])
    return project(graph, this.#weights, graph.siluMul(gate, up), 'mlp.down_proj')
  }
}

/**
 * A decoder of pre-norm layers: attention and MLP each read the normalized residual stream and add to it.
 *
 * @param attention of one layer, from its normalized input `[R, E]` to what is added
 */
export function preNormDecoder(
  pass: DecoderPass,
  attention: (layer: DecoderLayer, h: GraphTensor) => GraphTensor,
): GraphTensor {
  const { graph, weights, config } = pass
  let x = graph.embedding(pass.tokens, weights.get('embed_tokens.weight'))
  for (let index = 0; index < config.layers; index++) {
    pass.observe?.(`hidden.${index}`, x)
    const layer = new DecoderLayer(pass, index)
    const a = graph.add(x, attention(layer, layer.norm(x, 'input_layernorm')))
    x = graph.add(a, layer.mlp(layer.norm(a, 'post_attention_layernorm')))
  }
  pass.observe?.('final_norm_in', x)
  return graph.rmsNorm(x, weights.get('norm.weight'), config.normEpsilon)
}

/** A linear by its name, with its bias if it has one. */
export function project(graph: Graph, weights: GraphWeights, x: GraphTensor, name: string): GraphTensor {
  const bias = weights.find(`${name}.bias`)
  return graph.linear(x, weights.get(`${name}.weight`), bias ? { bias } : {})
}
