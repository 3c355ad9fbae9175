import { shown, WeightsError } from '../errors.js'
import type { JsonObject } from '../formats/strict-json.js'
import { ConfigFields } from './config-fields.js'
import {
  type Architecture,
  type ExpertsConfig,
  type LatentAttentionConfig,
  type ModelConfig,
  maxLayers,
  type RopeConfig,
} from './model-config.js'
import { readRopeScaling } from './rope-scaling.js'

/** By `architectures[0]`, which says more than `model_type`. */
const byClassName: ReadonlyMap<string, Architecture> = new Map<string, Architecture>([
  ['LlamaForCausalLM', 'llama'],
  ['Qwen2ForCausalLM', 'qwen2'],
  ['Qwen3ForCausalLM', 'qwen3'],
  ['DeepseekV3ForCausalLM', 'deepseek-v3'],
  ['DeepseekV3ForCausalLMNextN', 'deepseek-v3-nextn'],
  ['LlamaForCausalLMEagle', 'hass-head'],
  ['Qwen2ForCausalLMEagle', 'hass-head'],
])

const byModelType: ReadonlyMap<string, Architecture> = new Map<string, Architecture>([
  ['llama', 'llama'],
  ['qwen2', 'qwen2'],
  ['qwen3', 'qwen3'],
  ['deepseek_v3', 'deepseek-v3'],
])

export interface HuggingFaceConfigOptions {
  /** The file's name, for messages. */
  readonly file: string
  /** True if the weights are a HASS or EAGLE head: published configurations call themselves LLaMA. */
  readonly isHead: boolean
}

/**
 * Reads a `config.json`, with the keys of old and new versions of transformers.
 *
 * @throws WeightsError `HASS_ERR_MODEL_CONFIG`, `HASS_ERR_MODEL_ARCHITECTURE`
 */
export function readHuggingFaceConfig(json: JsonObject, options: HuggingFaceConfigOptions): ModelConfig {
  const fields = new ConfigFields(json, options.file)
  const architecture = options.isHead ? 'hass-head' : readArchitecture(fields)
  const isDeepSeek = architecture === 'deepseek-v3' || architecture === 'deepseek-v3-nextn'
  refuseWhatIsNotComputed(fields)
  const hiddenSize = fields.count('hidden_size')
  const heads = fields.count('num_attention_heads')
  const latentAttention = isDeepSeek ? readLatentAttention(fields) : undefined
  const attentionBias = fields.boolean('attention_bias', false)
  const [bosTokenId] = fields.tokens('bos_token_id')
  const draftVocabSize = fields.has('draft_vocab_size') ? fields.count('draft_vocab_size') : undefined
  return {
    architecture,
    hiddenSize,
    layers: architecture === 'deepseek-v3-nextn' ? 0 : fields.count('num_hidden_layers', undefined, 1, maxLayers),
    heads,
    kvHeads: latentAttention ? heads : readKvHeads(fields, heads),
    headSize: latentAttention
      ? latentAttention.plainSize + latentAttention.ropeSize
      : readHeadSize(fields, hiddenSize, heads),
    intermediateSize: fields.count('intermediate_size'),
    vocabSize: fields.count('vocab_size'),
    normEpsilon: fields.number('rms_norm_eps', 1e-6, { above: 0, below: 1 }),
    rope: readRope(fields),
    tiesEmbeddings: fields.boolean('tie_word_embeddings', false),
    hasQueryKeyValueBias: architecture === 'qwen2' || fields.boolean('qkv_bias', attentionBias),
    hasOutputBias: architecture !== 'qwen2' && attentionBias,
    hasMlpBias: fields.boolean('mlp_bias', false),
    hasQueryKeyNorm: architecture === 'qwen3',
    ...(bosTokenId !== undefined && { bosTokenId }),
    eosTokenIds: fields.tokens('eos_token_id'),
    maxContext: fields.count('max_position_embeddings'),
    ...(latentAttention && { latentAttention }),
    ...(isDeepSeek && fields.has('n_routed_experts') && { experts: readExperts(fields) }),
    mtpLayers: readMtpLayers(fields, architecture),
    ...(draftVocabSize !== undefined && { draftVocabSize }),
    fp8BlockShape: readFp8BlockShape(fields),
  }
}

function readArchitecture(fields: ConfigFields): Architecture {
  const classNames = fields.get('architectures')
  const className = Array.isArray(classNames) ? classNames[0] : undefined
  const modelType = fields.get('model_type')
  const architecture = className === undefined ? byModelType.get(String(modelType)) : byClassName.get(String(className))
  if (architecture) return architecture
  throw new WeightsError(
    'HASS_ERR_MODEL_ARCHITECTURE',
    `${fields.file} describes the architecture ${shown(String(className ?? modelType))}, expected one of ${[...byClassName.keys()].join(', ')}.`,
    { file: fields.file, found: className ?? modelType, known: [...byClassName.keys()] },
  )
}

function refuseWhatIsNotComputed(fields: ConfigFields): void {
  fields.text<'silu' | 'swish'>('hidden_act', 'silu', ['silu', 'swish'])
  if (fields.boolean('use_sliding_window', false)) {
    fields.refuse(
      'use_sliding_window',
      'use_sliding_window is true, expected false: attention windows are not computed.',
    )
  }
}

function readKvHeads(fields: ConfigFields, heads: number): number {
  const kvHeads = fields.count('num_key_value_heads', heads)
  if (heads % kvHeads === 0) return kvHeads
  return fields.refuse(
    'num_key_value_heads',
    `num_key_value_heads is ${kvHeads}, expected a divisor of ${heads} heads.`,
  )
}

function readHeadSize(fields: ConfigFields, hiddenSize: number, heads: number): number {
  const headSize = fields.count('head_dim', hiddenSize % heads === 0 ? hiddenSize / heads : undefined)
  if (headSize % 2 === 0) return headSize
  return fields.refuse('head_dim', `the head size is ${headSize}, expected an even one: rotary pairs need it.`)
}

/** `rope_parameters` holds everything in new files, `rope_scaling` and `rope_theta` in old ones. */
function readRope(fields: ConfigFields): RopeConfig {
  const parameters = fields.object('rope_parameters') ?? fields.object('rope_scaling')
  const thetaFields = parameters?.has('rope_theta') ? parameters : fields
  return {
    theta: thetaFields.number('rope_theta', 10_000, { above: 0, max: Number.MAX_SAFE_INTEGER }),
    scaling: parameters ? readRopeScaling(parameters, fields) : { type: 'default' },
  }
}

function readLatentAttention(fields: ConfigFields): LatentAttentionConfig {
  if (fields.boolean('attention_bias', false)) {
    fields.refuse(
      'attention_bias',
      'attention_bias is true, expected false: latent attention is computed without biases.',
    )
  }
  return {
    ...(fields.has('q_lora_rank') && { queryRank: fields.count('q_lora_rank') }),
    keyValueRank: fields.count('kv_lora_rank'),
    plainSize: fields.count('qk_nope_head_dim'),
    ropeSize: fields.count('qk_rope_head_dim'),
    valueSize: fields.count('v_head_dim'),
  }
}

/** No published model has more experts; the number of tensors grows with it. */
const maxExperts = 4096

function readExperts(fields: ConfigFields): ExpertsConfig {
  const experts = fields.count('n_routed_experts', undefined, 1, maxExperts)
  if (fields.count('moe_layer_freq', 1) !== 1) {
    fields.refuse('moe_layer_freq', 'moe_layer_freq is not 1: experts in every other layer are not computed.')
  }
  const groups = fields.count('n_group', 1, 1, experts)
  if (experts % groups !== 0)
    fields.refuse('n_group', `n_group is ${groups}, expected a divisor of ${experts} experts.`)
  return {
    experts,
    expertsPerToken: fields.count('num_experts_per_tok', undefined, 1, experts),
    sharedExperts: fields.count('n_shared_experts', 0, 0, maxExperts),
    groups,
    groupsPerToken: fields.count('topk_group', 1, 1, groups),
    intermediateSize: fields.count('moe_intermediate_size'),
    denseLayers: fields.count('first_k_dense_replace', 0, 0, maxLayers),
    scoring: fields.text('scoring_func', 'sigmoid', ['sigmoid', 'softmax']),
    hasChoiceBias: fields.get('topk_method') === 'noaux_tc' || !fields.has('topk_method'),
    normalizesWeights: fields.boolean('norm_topk_prob', true),
    weightScale: fields.number('routed_scaling_factor', 1, { above: 0 }),
  }
}

function readMtpLayers(fields: ConfigFields, architecture: Architecture): number {
  if (architecture === 'deepseek-v3-nextn') return 1
  return architecture === 'deepseek-v3' ? fields.count('num_nextn_predict_layers', 0, 0, maxLayers) : 0
}

function readFp8BlockShape(fields: ConfigFields): readonly [number, number] {
  const shape = fields.object('quantization_config')?.get('weight_block_size') ?? [128, 128]
  const isShape =
    Array.isArray(shape) && shape.length === 2 && shape.every((size) => Number.isSafeInteger(size) && size > 0)
  return isShape
    ? [shape[0], shape[1]]
    : fields.refuse(
        'weight_block_size',
        `weight_block_size is ${shown(String(shape))}, expected two positive integers.`,
      )
}
