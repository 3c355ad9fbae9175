/** Architectures whose configuration and tensor names are known. */
export const architectures = ['llama', 'qwen2', 'qwen3', 'deepseek-v3', 'hass-head', 'deepseek-v3-nextn'] as const

/**
 * `hass-head` is the draft head of HASS and EAGLE, whatever its target; `deepseek-v3-nextn` is the MTP layer of
 * DeepSeek-V3 on its own.
 */
export type Architecture = (typeof architectures)[number]

/** How rotary frequencies are stretched to contexts longer than those of pre-training. */
export type RopeScaling =
  | { readonly type: 'default' }
  /** Positions are divided by `factor`. */
  | { readonly type: 'linear'; readonly factor: number }
  /** Low frequencies are divided by `factor`, high ones kept, those between mixed. */
  | {
      readonly type: 'llama3'
      readonly factor: number
      readonly lowFrequencyFactor: number
      readonly highFrequencyFactor: number
      readonly originalMaxContext: number
    }
  /** YaRN, arXiv 2309.00071. */
  | {
      readonly type: 'yarn'
      readonly factor: number
      readonly originalMaxContext: number
      readonly betaFast: number
      readonly betaSlow: number
      /** Absent where the model does not correct the softmax temperature this way. */
      readonly mscale?: number
      readonly mscaleAllDimensions?: number
      /** What cos and sin are multiplied with, where the configuration says it outright. */
      readonly attentionFactor?: number
    }
  /** Each frequency is divided by its own factor: tensor `rope_factors.weight`, `[headSize / 2]` (GGUF files). */
  | { readonly type: 'factors' }

export interface RopeConfig {
  readonly theta: number
  readonly scaling: RopeScaling
}

/** Latent attention (MLA): keys and values are expanded from one small vector per position. */
export interface LatentAttentionConfig {
  /** Absent if queries are projected directly. */
  readonly queryRank?: number
  readonly keyValueRank: number
  /** Elements of a query or key head without rotation. */
  readonly plainSize: number
  /** Elements of a query or key head that are rotated. */
  readonly ropeSize: number
  readonly valueSize: number
}

export interface ExpertsConfig {
  readonly experts: number
  readonly expertsPerToken: number
  readonly sharedExperts: number
  readonly groups: number
  readonly groupsPerToken: number
  readonly intermediateSize: number
  /** The first so many layers have an ordinary MLP. */
  readonly denseLayers: number
  readonly scoring: 'sigmoid' | 'softmax'
  /** True if a learnt bias decides which experts are chosen (and nothing else). */
  readonly hasChoiceBias: boolean
  readonly normalizesWeights: boolean
  readonly weightScale: number
}

/** One model's configuration, whatever file it came from. */
export interface ModelConfig {
  readonly architecture: Architecture
  readonly hiddenSize: number
  /** Decoder layers, MTP layers not counted. */
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  /** Elements of a query and key head. */
  readonly headSize: number
  readonly intermediateSize: number
  readonly vocabSize: number
  readonly normEpsilon: number
  readonly rope: RopeConfig
  /** True if `lm_head` is `embed_tokens`. */
  readonly tiesEmbeddings: boolean
  /** Of a head: as the file has it. */
  readonly hasQueryKeyValueBias: boolean
  readonly hasOutputBias: boolean
  readonly hasMlpBias: boolean
  /** True if queries and keys are normalized per head before the rotation (Qwen3). */
  readonly hasQueryKeyNorm: boolean
  readonly bosTokenId?: number
  /** Each ends a text; empty if the files name none. */
  readonly eosTokenIds: readonly number[]
  /** Longest sequence, in tokens. */
  readonly maxContext: number
  readonly latentAttention?: LatentAttentionConfig
  readonly experts?: ExpertsConfig
  /** Multi-token-prediction layers behind the decoder that the files hold. */
  readonly mtpLayers: number
  /** Draft heads: entries of a reduced vocabulary, if it has one (`d2t`). */
  readonly draftVocabSize?: number
  /** Rows and columns that share a scale in FP8 weights. Defaults to 128 × 128 where the file does not say it. */
  readonly fp8BlockShape: readonly [rows: number, columns: number]
}

/** More layers than any published model has, and llama.cpp's own limit. */
export const maxLayers = 512
