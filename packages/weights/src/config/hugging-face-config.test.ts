import { describe, expect, it } from 'vitest'
import { type JsonObject, parseStrictJson } from '../formats/strict-json.js'
import { readHuggingFaceConfig } from './hugging-face-config.js'

const base = {
  model_type: 'llama',
  hidden_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 6,
  vocab_size: 10,
  max_position_embeddings: 32,
}
const read = (more: object, isHead = false) =>
  readHuggingFaceConfig(
    parseStrictJson(new TextEncoder().encode(JSON.stringify({ ...base, ...more })), {
      name: 'config.json',
    }) as JsonObject,
    { file: 'config.json', isHead },
  )

const deepseek = {
  architectures: ['DeepseekV3ForCausalLM'],
  q_lora_rank: 3,
  kv_lora_rank: 4,
  qk_nope_head_dim: 2,
  qk_rope_head_dim: 2,
  v_head_dim: 2,
  n_routed_experts: 4,
  num_experts_per_tok: 2,
  moe_intermediate_size: 3,
}

describe('readHuggingFaceConfig', () => {
  it('knows architectures by class and by type', () => {
    expect(read({}).architecture).toBe('llama')
    expect(read({ architectures: ['Qwen2ForCausalLM'] })).toMatchObject({
      architecture: 'qwen2',
      hasQueryKeyValueBias: true,
    })
    expect(read({ model_type: 'qwen3' })).toMatchObject({ architecture: 'qwen3', hasQueryKeyNorm: true })
    expect(read({ architectures: ['LlamaForCausalLMEagle'] }).architecture).toBe('hass-head')
    expect(read({ draft_vocab_size: 5 }, true)).toMatchObject({ architecture: 'hass-head', draftVocabSize: 5 })
  })

  it('takes null for absent', () => {
    expect(read({ rope_scaling: null, head_dim: null, num_key_value_heads: null, eos_token_id: null })).toMatchObject({
      headSize: 4,
      kvHeads: 2,
      eosTokenIds: [],
      rope: { scaling: { type: 'default' } },
    })
  })

  it('reads rotary frequencies by old and new keys', () => {
    expect(read({ rope_theta: 5, rope_scaling: { type: 'linear', factor: 2 } }).rope).toEqual({
      theta: 5,
      scaling: { type: 'linear', factor: 2 },
    })
    expect(read({ rope_parameters: { rope_type: 'default', rope_theta: 7 } }).rope).toEqual({
      theta: 7,
      scaling: { type: 'default' },
    })
    expect(
      read({
        rope_scaling: {
          rope_type: 'llama3',
          factor: 8,
          low_freq_factor: 1,
          high_freq_factor: 4,
          original_max_position_embeddings: 16,
        },
      }).rope.scaling,
    ).toEqual({ type: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxContext: 16 })
    expect(
      read({ rope_scaling: { type: 'yarn', factor: 4, mscale: 1, mscale_all_dim: 0.5, attention_factor: 2 } }).rope
        .scaling,
    ).toEqual({
      type: 'yarn',
      factor: 4,
      originalMaxContext: 32,
      betaFast: 32,
      betaSlow: 1,
      mscale: 1,
      mscaleAllDimensions: 0.5,
      attentionFactor: 2,
    })
  })

  it('reads experts and latent attention', () => {
    const config = read({ ...deepseek, topk_method: 'noaux_tc', scoring_func: 'sigmoid', num_nextn_predict_layers: 2 })
    expect(config).toMatchObject({
      architecture: 'deepseek-v3',
      headSize: 4,
      latentAttention: { queryRank: 3, keyValueRank: 4, plainSize: 2, ropeSize: 2, valueSize: 2 },
      experts: {
        experts: 4,
        expertsPerToken: 2,
        groups: 1,
        hasChoiceBias: true,
        weightScale: 1,
        normalizesWeights: true,
      },
      mtpLayers: 2,
    })
  })

  it.each([
    [{ architectures: ['MambaForCausalLM'] }, 'HASS_ERR_MODEL_ARCHITECTURE'],
    [{ model_type: 'constructor' }, 'HASS_ERR_MODEL_ARCHITECTURE'],
    [{ model_type: null }, 'HASS_ERR_MODEL_ARCHITECTURE'],
    [{ hidden_size: null }, 'HASS_ERR_MODEL_CONFIG'],
    [{ hidden_size: '8' }, 'HASS_ERR_MODEL_CONFIG'],
    [{ hidden_size: 0 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ hidden_size: 1.5 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ hidden_size: 2 ** 40 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ hidden_size: 9 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ hidden_size: 6 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ num_hidden_layers: 513 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ num_hidden_layers: 1e9 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ num_attention_heads: 4, num_key_value_heads: 3 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ rms_norm_eps: 0 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ rope_theta: -1 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ hidden_act: 'gelu' }, 'HASS_ERR_MODEL_CONFIG'],
    [{ use_sliding_window: true }, 'HASS_ERR_MODEL_CONFIG'],
    [{ tie_word_embeddings: 'yes' }, 'HASS_ERR_MODEL_CONFIG'],
    [{ eos_token_id: 'x' }, 'HASS_ERR_MODEL_CONFIG'],
    [{ eos_token_id: [-1] }, 'HASS_ERR_MODEL_CONFIG'],
    [{ rope_scaling: 3 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ rope_scaling: { type: 'dynamic', factor: 2 } }, 'HASS_ERR_MODEL_CONFIG'],
    [{ rope_scaling: { type: 'linear' } }, 'HASS_ERR_MODEL_CONFIG'],
    [{ rope_scaling: { type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 1 } }, 'HASS_ERR_MODEL_CONFIG'],
    [{ quantization_config: { weight_block_size: [128] } }, 'HASS_ERR_MODEL_CONFIG'],
    [{ quantization_config: { weight_block_size: [0, 128] } }, 'HASS_ERR_MODEL_CONFIG'],
    [{ ...deepseek, n_routed_experts: 1e7 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ ...deepseek, attention_bias: true }, 'HASS_ERR_MODEL_CONFIG'],
    [{ ...deepseek, moe_layer_freq: 2 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ ...deepseek, n_group: 3 }, 'HASS_ERR_MODEL_CONFIG'],
    [{ ...deepseek, scoring_func: 'relu' }, 'HASS_ERR_MODEL_CONFIG'],
  ])('refuses %j', (more, code) => {
    expect(() => read(more)).toThrow(expect.objectContaining({ code }))
  })
})
