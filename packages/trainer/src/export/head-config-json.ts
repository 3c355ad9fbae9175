import { InvalidArgumentError } from '@hass-engine/core'
import type { ModelConfig, RopeConfig } from '@hass-engine/weights'

const torchDtypes = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const

/**
 * `config.json` of a head: a LLaMA configuration of one layer, as HASS and EAGLE publish them. `bias` says whether `fc`
 * has one, `qkv_bias` whether the attention's projections have.
 */
export function headConfigJson(
  config: ModelConfig,
  { hasFcBias, dtype }: { readonly hasFcBias: boolean; readonly dtype: keyof typeof torchDtypes },
): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    bias: hasFcBias,
    qkv_bias: config.hasQueryKeyValueBias,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: 1,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headSize,
    vocab_size: config.vocabSize,
    ...(config.draftVocabSize !== undefined && { draft_vocab_size: config.draftVocabSize }),
    max_position_embeddings: config.maxContext,
    rms_norm_eps: config.normEpsilon,
    rope_theta: config.rope.theta,
    rope_scaling: ropeScalingJson(config.rope),
    tie_word_embeddings: false,
    ...(config.bosTokenId !== undefined && { bos_token_id: config.bosTokenId }),
    ...(config.eosTokenIds.length > 0 && {
      eos_token_id: config.eosTokenIds.length === 1 ? config.eosTokenIds[0] : config.eosTokenIds,
    }),
    torch_dtype: torchDtypes[dtype],
  }
}

function ropeScalingJson({ scaling }: RopeConfig): Record<string, unknown> | null {
  switch (scaling.type) {
    case 'default':
      return null
    case 'linear':
      return { rope_type: 'linear', factor: scaling.factor }
    case 'llama3':
      return {
        rope_type: 'llama3',
        factor: scaling.factor,
        low_freq_factor: scaling.lowFrequencyFactor,
        high_freq_factor: scaling.highFrequencyFactor,
        original_max_position_embeddings: scaling.originalMaxContext,
      }
    case 'yarn':
      return {
        rope_type: 'yarn',
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalMaxContext,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        ...(scaling.mscale !== undefined && { mscale: scaling.mscale }),
        ...(scaling.mscaleAllDimensions !== undefined && { mscale_all_dim: scaling.mscaleAllDimensions }),
        ...(scaling.attentionFactor !== undefined && { attention_factor: scaling.attentionFactor }),
      }
    case 'factors':
      // `headConfig` refuses such targets; a config.json has no place for factors.
      throw new InvalidArgumentError('A head has no factors of its own for each rotary frequency.')
  }
}
