import { shown, WeightsError } from '../errors.js'
import type { GgufFile } from '../formats/gguf/gguf.js'
import { ConfigFields } from './config-fields.js'
import { type Architecture, type ModelConfig, maxLayers, type RopeConfig } from './model-config.js'

const known = ['llama', 'qwen2', 'qwen3'] as const satisfies readonly Architecture[]

/**
 * Reads the configuration out of GGUF metadata; what the metadata does not say is taken from the tensors.
 *
 * @param file the file's name, for messages
 * @throws WeightsError `HASS_ERR_MODEL_CONFIG`, `HASS_ERR_MODEL_ARCHITECTURE`
 */
export function readGgufConfig({ metadata, tensors }: GgufFile, file: string): ModelConfig {
  const fields = new ConfigFields(metadata, file)
  const architecture = readArchitecture(fields)
  if (fields.count('split.count', 1) > 1) {
    fields.refuse(
      'split.count',
      'this is one piece of a model that was split; join the pieces (llama-gguf-split --merge).',
    )
  }
  const key = (name: string) => `${architecture}.${name}`
  const hiddenSize = fields.count(key('embedding_length'))
  const heads = fields.count(key('attention.head_count'))
  const kvHeads = fields.count(key('attention.head_count_kv'), heads)
  const headSize = fields.count(key('attention.key_length'), Math.floor(hiddenSize / heads))
  if (heads % kvHeads !== 0 || headSize % 2 !== 0) {
    fields.refuse(
      key('attention.head_count_kv'),
      `${heads} heads share ${kvHeads} key heads of ${headSize} elements, expected a divisor, and an even size.`,
    )
  }
  const ropeSize = fields.count(key('rope.dimension_count'), headSize)
  if (ropeSize !== headSize) {
    fields.refuse(
      key('rope.dimension_count'),
      `${ropeSize} of ${headSize} elements of a head are rotated, expected all.`,
    )
  }
  const [bosTokenId] = fields.tokens('tokenizer.ggml.bos_token_id')
  return {
    architecture,
    hiddenSize,
    layers: fields.count(key('block_count'), undefined, 1, maxLayers),
    heads,
    kvHeads,
    headSize,
    intermediateSize: fields.count(key('feed_forward_length')),
    vocabSize: tensors.get('token_embd.weight')?.shape[0] ?? fields.count(key('vocab_size')),
    normEpsilon: fields.number(key('attention.layer_norm_rms_epsilon'), 1e-6, { above: 0, below: 1 }),
    rope: readRope(fields, key, tensors.has('rope_freqs.weight')),
    tiesEmbeddings: !tensors.has('output.weight'),
    hasQueryKeyValueBias: tensors.has('blk.0.attn_q.bias'),
    hasOutputBias: tensors.has('blk.0.attn_output.bias'),
    hasMlpBias: tensors.has('blk.0.ffn_gate.bias'),
    hasQueryKeyNorm: architecture === 'qwen3',
    ...(bosTokenId !== undefined && { bosTokenId }),
    // The end of a turn is a token of its own in some files; both end a text.
    eosTokenIds: [
      ...new Set([...fields.tokens('tokenizer.ggml.eos_token_id'), ...fields.tokens('tokenizer.ggml.eot_token_id')]),
    ],
    maxContext: fields.count(key('context_length')),
    mtpLayers: 0,
    fp8BlockShape: [128, 128],
  }
}

function readArchitecture(fields: ConfigFields): (typeof known)[number] {
  const found = fields.get('general.architecture')
  const architecture = known.find((name) => name === found)
  if (architecture) return architecture
  throw new WeightsError(
    'HASS_ERR_MODEL_ARCHITECTURE',
    `${fields.file} has the general.architecture ${shown(String(found))}, expected one of ${known.join(', ')}.`,
    { file: fields.file, found, known },
  )
}

function readRope(fields: ConfigFields, key: (name: string) => string, hasFactors: boolean): RopeConfig {
  const theta = fields.number(key('rope.freq_base'), 10_000, { above: 0, max: Number.MAX_SAFE_INTEGER })
  if (hasFactors) return { theta, scaling: { type: 'factors' } }
  const type = fields.text(key('rope.scaling.type'), 'none', ['none', 'linear', 'yarn'])
  const factor = () => fields.number(key('rope.scaling.factor'), undefined, { above: 0 })
  switch (type) {
    case 'none':
      return { theta, scaling: { type: 'default' } }
    case 'linear':
      return { theta, scaling: { type, factor: factor() } }
    case 'yarn':
      return {
        theta,
        scaling: {
          type,
          factor: factor(),
          originalMaxContext: fields.count(key('rope.scaling.original_context_length')),
          betaFast: fields.number(key('rope.scaling.yarn_beta_fast'), 32, { above: 0 }),
          betaSlow: fields.number(key('rope.scaling.yarn_beta_slow'), 1, { above: 0 }),
        },
      }
  }
}
