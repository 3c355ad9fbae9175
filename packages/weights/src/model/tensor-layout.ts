import type { ExpertsConfig, LatentAttentionConfig, ModelConfig } from '../config/model-config.js'

/** A tensor that a model of some configuration has. */
export interface TensorExpectation {
  readonly name: string
  readonly shape: readonly number[]
  /** What its elements are: weights are floating or quantized. */
  readonly content: 'weights' | 'ids' | 'mask'
  readonly isOptional: boolean
}

type Expectations = Generator<TensorExpectation>

function weight(name: string, ...shape: number[]): TensorExpectation {
  return { name, shape, content: 'weights', isOptional: false }
}

function optional(expectation: TensorExpectation): TensorExpectation {
  return { ...expectation, isOptional: true }
}

/** All tensors of a model by their canonical names, one after the other: a model may claim to have millions. */
export function* expectTensors(config: ModelConfig): Expectations {
  switch (config.architecture) {
    case 'hass-head':
      return yield* expectHead(config)
    case 'deepseek-v3-nextn':
      return yield* expectMtpLayers(config)
    default:
      yield* expectDecoder(config)
      yield* expectMtpLayers(config)
  }
}

function* expectDecoder(config: ModelConfig): Expectations {
  const { hiddenSize, vocabSize, layers, tiesEmbeddings, rope, headSize } = config
  yield weight('embed_tokens.weight', vocabSize, hiddenSize)
  yield weight('norm.weight', hiddenSize)
  if (!tiesEmbeddings) yield weight('lm_head.weight', vocabSize, hiddenSize)
  if (rope.scaling.type === 'factors') yield weight('rope_factors.weight', headSize / 2)
  for (let layer = 0; layer < layers; layer++) {
    yield weight(`layers.${layer}.input_layernorm.weight`, hiddenSize)
    yield* expectLayer(config, `layers.${layer}`, layer)
  }
}

/** HASS and EAGLE: layer 0 has no input norm, for its input comes from `fc`; there is no final norm. */
function* expectHead(config: ModelConfig): Expectations {
  const { hiddenSize, vocabSize, layers, draftVocabSize } = config
  yield weight('fc.weight', hiddenSize, 2 * hiddenSize)
  yield optional(weight('fc.bias', hiddenSize))
  yield optional(weight('embed_tokens.weight', vocabSize, hiddenSize))
  yield optional(weight('lm_head.weight', draftVocabSize ?? vocabSize, hiddenSize))
  if (draftVocabSize !== undefined) {
    yield { name: 'd2t', shape: [draftVocabSize], content: 'ids', isOptional: false }
    yield { name: 't2d', shape: [vocabSize], content: 'mask', isOptional: true }
  }
  for (let layer = 0; layer < layers; layer++) {
    if (layer > 0) yield weight(`layers.${layer}.input_layernorm.weight`, hiddenSize)
    yield* expectLayer(config, `layers.${layer}`, layer)
  }
}

/** Embedding and output are the target's own; files repeat them or leave them out. */
function* expectMtpLayers(config: ModelConfig): Expectations {
  const { hiddenSize, vocabSize, layers, mtpLayers } = config
  for (let index = 0; index < mtpLayers; index++) {
    const prefix = `mtp.${index}`
    yield weight(`${prefix}.enorm.weight`, hiddenSize)
    yield weight(`${prefix}.hnorm.weight`, hiddenSize)
    yield weight(`${prefix}.eh_proj.weight`, hiddenSize, 2 * hiddenSize)
    yield optional(weight(`${prefix}.embed_tokens.weight`, vocabSize, hiddenSize))
    yield weight(`${prefix}.shared_head.norm.weight`, hiddenSize)
    yield optional(weight(`${prefix}.shared_head.head.weight`, vocabSize, hiddenSize))
    yield weight(`${prefix}.input_layernorm.weight`, hiddenSize)
    // An MTP layer is always one with experts, if the model has any.
    yield* expectLayer(config, prefix, Math.max(layers, config.experts?.denseLayers ?? 0))
  }
}

function* expectLayer(config: ModelConfig, prefix: string, layer: number): Expectations {
  const { hiddenSize, latentAttention, experts, intermediateSize, hasMlpBias } = config
  yield weight(`${prefix}.post_attention_layernorm.weight`, hiddenSize)
  if (latentAttention) yield* expectLatentAttention(config, latentAttention, `${prefix}.self_attn`)
  else yield* expectAttention(config, `${prefix}.self_attn`)
  if (experts && layer >= experts.denseLayers) yield* expectExperts(hiddenSize, experts, `${prefix}.mlp`)
  else yield* expectMlp(hiddenSize, intermediateSize, `${prefix}.mlp`, hasMlpBias)
}

function* expectAttention(config: ModelConfig, prefix: string): Expectations {
  const { hiddenSize, heads, kvHeads, headSize, hasQueryKeyValueBias, hasOutputBias, hasQueryKeyNorm } = config
  const rows = { q_proj: heads * headSize, k_proj: kvHeads * headSize, v_proj: kvHeads * headSize }
  for (const [name, size] of Object.entries(rows)) {
    yield weight(`${prefix}.${name}.weight`, size, hiddenSize)
    if (hasQueryKeyValueBias) yield weight(`${prefix}.${name}.bias`, size)
  }
  yield weight(`${prefix}.o_proj.weight`, hiddenSize, heads * headSize)
  if (hasOutputBias) yield weight(`${prefix}.o_proj.bias`, hiddenSize)
  if (!hasQueryKeyNorm) return
  yield weight(`${prefix}.q_norm.weight`, headSize)
  yield weight(`${prefix}.k_norm.weight`, headSize)
}

function* expectLatentAttention(config: ModelConfig, latent: LatentAttentionConfig, prefix: string): Expectations {
  const { hiddenSize, heads, headSize } = config
  const { queryRank, keyValueRank, ropeSize, plainSize, valueSize } = latent
  if (queryRank === undefined) {
    yield weight(`${prefix}.q_proj.weight`, heads * headSize, hiddenSize)
  } else {
    yield weight(`${prefix}.q_a_proj.weight`, queryRank, hiddenSize)
    yield weight(`${prefix}.q_a_layernorm.weight`, queryRank)
    yield weight(`${prefix}.q_b_proj.weight`, heads * headSize, queryRank)
  }
  yield weight(`${prefix}.kv_a_proj_with_mqa.weight`, keyValueRank + ropeSize, hiddenSize)
  yield weight(`${prefix}.kv_a_layernorm.weight`, keyValueRank)
  yield weight(`${prefix}.kv_b_proj.weight`, heads * (plainSize + valueSize), keyValueRank)
  yield weight(`${prefix}.o_proj.weight`, hiddenSize, heads * valueSize)
}

function* expectExperts(hiddenSize: number, config: ExpertsConfig, prefix: string): Expectations {
  const { experts, sharedExperts, intermediateSize, hasChoiceBias } = config
  yield weight(`${prefix}.gate.weight`, experts, hiddenSize)
  if (hasChoiceBias) yield weight(`${prefix}.gate.e_score_correction_bias`, experts)
  for (let expert = 0; expert < experts; expert++) {
    yield* expectMlp(hiddenSize, intermediateSize, `${prefix}.experts.${expert}`, false)
  }
  // The shared experts are stored as one wide one.
  if (sharedExperts > 0) {
    yield* expectMlp(hiddenSize, sharedExperts * intermediateSize, `${prefix}.shared_experts`, false)
  }
}

function* expectMlp(hiddenSize: number, intermediateSize: number, prefix: string, hasBias: boolean): Expectations {
  for (const name of ['gate_proj', 'up_proj']) {
    yield weight(`${prefix}.${name}.weight`, intermediateSize, hiddenSize)
    if (hasBias) yield weight(`${prefix}.${name}.bias`, intermediateSize)
  }
  yield weight(`${prefix}.down_proj.weight`, hiddenSize, intermediateSize)
  if (hasBias) yield weight(`${prefix}.down_proj.bias`, hiddenSize)
}
