import type { ModelConfig } from '@hass-engine/weights'
import type { HeadTrainerOptions } from '../create-head-trainer.js'
import type { TrainingBatch } from '../head-trainer.js'

/** A head of a few hundred parameters. */
const config: ModelConfig = {
  architecture: 'llama',
  hiddenSize: 16,
  layers: 1,
  heads: 4,
  kvHeads: 2,
  headSize: 4,
  intermediateSize: 24,
  vocabSize: 40,
  normEpsilon: 1e-5,
  rope: { theta: 10_000, scaling: { type: 'default' } },
  tiesEmbeddings: false,
  hasQueryKeyValueBias: false,
  hasOutputBias: false,
  hasMlpBias: false,
  hasQueryKeyNorm: false,
  eosTokenIds: [],
  maxContext: 64,
  mtpLayers: 0,
  fp8BlockShape: [128, 128],
}

/** Numbers in [0, 1) from a seed. */
export function createRandom(seed: number) {
  let state = seed
  const next = () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  }
  return {
    next,
    floats: (count: number, scale: number) => Float32Array.from({ length: count }, () => scale * (2 * next() - 1)),
  }
}

/** Options of `createHeadTrainer` but for the device: random parameters, embeddings and lm_head. */
export function smallHead(seed = 1): Omit<HeadTrainerOptions, 'device'> {
  const random = createRandom(seed)
  const { hiddenSize: size, intermediateSize, heads, kvHeads, headSize, vocabSize } = config
  const shapes: [string, number[]][] = [
    ['fc.weight', [size, 2 * size]],
    ['fc.bias', [size]],
    ['layers.0.self_attn.q_proj.weight', [heads * headSize, size]],
    ['layers.0.self_attn.k_proj.weight', [kvHeads * headSize, size]],
    ['layers.0.self_attn.v_proj.weight', [kvHeads * headSize, size]],
    ['layers.0.self_attn.o_proj.weight', [size, heads * headSize]],
    ['layers.0.mlp.gate_proj.weight', [intermediateSize, size]],
    ['layers.0.mlp.up_proj.weight', [intermediateSize, size]],
    ['layers.0.mlp.down_proj.weight', [size, intermediateSize]],
    ['layers.0.post_attention_layernorm.weight', [size]],
  ]
  const parameters = new Map(
    shapes.map(([name, shape]) => [name, { shape, data: random.floats(shape[0]! * (shape[1] ?? 1), 0.3) }]),
  )
  return {
    config,
    parameters,
    embedTokens: {
      name: 'embed_tokens',
      format: 'F32',
      shape: [vocabSize, size],
      data: random.floats(vocabSize * size, 1),
    },
    lmHead: random.floats(12 * size, 1),
    recipe: { topK: 5 },
    maxSequences: 3,
    maxPositions: 20,
  }
}

/** Random sequences, of which the second half counts, padded to `positions`. */
export function smallBatch(
  seed = 2,
  options: { readonly lengths?: readonly number[]; readonly positions?: number } = {},
) {
  const { lengths = [12, 9], positions = Math.max(...lengths) } = options
  const random = createRandom(seed)
  const { hiddenSize: size, vocabSize } = config
  const rows = lengths.length * positions
  const tokens = new Uint32Array(rows)
  const features = new Float32Array(rows * size)
  const lossMask = new Uint8Array(rows)
  for (const [sequence, length] of lengths.entries()) {
    const first = sequence * positions
    for (let t = 0; t < length; t++) {
      tokens[first + t] = Math.floor(random.next() * vocabSize)
      features.set(random.floats(size, 1), (first + t) * size)
      if (t >= length / 2 && t < length - 1) lossMask[first + t] = 1
    }
  }
  return { sequences: lengths.length, positions, tokens, features, lossMask } satisfies TrainingBatch
}
