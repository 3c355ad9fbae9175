import type { GraphTensor } from '@hass-engine/kernels'
import { DecoderLayer, type DecoderPass, project } from './decoder.js'

export interface HeadPass extends DecoderPass {
  /** `[R, E] F32`: the target's feature, or the one that the head predicted, of the position before each token. */
  readonly features: GraphTensor
}

/**
 * The draft head of HASS (arXiv 2408.15766, section 3): from features and the tokens that followed them to the next
 * features `[R, E]`. Its first layer has no input norm, and there is no norm at the end.
 */
export function hassHead(pass: HeadPass): GraphTensor {
  const { graph, weights, config } = pass
  const embedded = graph.embedding(pass.tokens, weights.get('embed_tokens.weight'))
  let x = project(graph, weights, graph.concat(embedded, pass.features), 'fc')
  pass.observe?.('fc_out', x)
  for (let index = 0; index < config.layers; index++) {
    const layer = new DecoderLayer(pass, index)
    const [q, k, v] = layer.queryKeyValue(index === 0 ? x : layer.norm(x, 'input_layernorm'))
    const a = graph.add(x, layer.attend(layer.rotate(q), layer.rotate(k), v))
    x = graph.add(a, layer.mlp(layer.norm(a, 'post_attention_layernorm')))
  }
  return x
}
