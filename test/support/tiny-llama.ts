import { type DType, toFloat32 } from '../../packages/core/src/index.js'
import { type GoldenTensor, readGoldenJson, readGoldenTensors } from './golden.js'

/**
 * A LLaMA, Qwen2 or Qwen3 decoder of the golden data, in the plainest TypeScript: an oracle that tests feed with
 * golden weights. Sums are float64, so it agrees with the golden numbers within their tolerance.
 */

/** The keys of a golden config.json that are read. */
export interface TinyConfig {
  readonly hidden_size: number
  readonly num_hidden_layers: number
  readonly num_attention_heads: number
  readonly num_key_value_heads: number
  readonly head_dim?: number
  readonly vocab_size: number
  readonly rms_norm_eps: number
  readonly rope_theta?: number
  readonly rope_scaling?: RopeScaling | null
  readonly rope_parameters?: RopeScaling & { readonly rope_theta?: number }
}

interface RopeScaling {
  readonly rope_type?: string
  readonly factor?: number
  readonly low_freq_factor?: number
  readonly high_freq_factor?: number
  readonly original_max_position_embeddings?: number
}

/** Tensors by name, widened to float32. */
export class TinyWeights {
  readonly #tensors: Map<string, GoldenTensor>

  constructor(...folder: string[]) {
    this.#tensors = readGoldenTensors(...folder, 'model.safetensors')
  }

  has(name: string): boolean {
    return this.#tensors.has(name)
  }

  get(name: string): Float32Array {
    const tensor = this.#tensors.get(name)
    if (!tensor) throw new Error(`golden tensor ${name} is missing`)
    return tensor.data instanceof Uint8Array
      ? toFloat32(tensor.data, tensor.dtype as DType)
      : (tensor.data as Float32Array)
  }

  find(name: string): Float32Array | undefined {
    return this.has(name) ? this.get(name) : undefined
  }
}

/** `y = W x + b`, W `[out, in]`. */
export function linear(weight: Float32Array, x: Float32Array, bias?: Float32Array): Float32Array {
  const width = x.length
  const y = new Float32Array(weight.length / width)
  for (let row = 0; row < y.length; row++) {
    let sum = bias?.[row] ?? 0
    for (let i = 0; i < width; i++) sum += weight[row * width + i]! * x[i]!
    y[row] = sum
  }
  return y
}

export function rmsNorm(x: Float32Array, weight: Float32Array, epsilon: number): Float32Array {
  const scale = 1 / Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + epsilon)
  return x.map((value, i) => value * scale * weight[i]!)
}

export function add(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((value, i) => value + b[i]!)
}

/** Keys and values of one row of one layer, each `[kvHeads, headDim]`. */
export interface KvRow {
  readonly k: Float32Array
  readonly v: Float32Array
}

/** One decoder layer, a row at a time; without `input_layernorm` it is a draft head's. */
export class TinyLayer {
  readonly #config: TinyConfig
  readonly #headDim: number
  readonly #frequencies: Float64Array
  readonly #w: (name: string) => Float32Array | undefined

  constructor(config: TinyConfig, weights: TinyWeights, prefix: string) {
    this.#config = config
    this.#headDim = config.head_dim ?? config.hidden_size / config.num_attention_heads
    this.#frequencies = ropeFrequencies(config, this.#headDim)
    const cache = new Map<string, Float32Array | undefined>()
    this.#w = (name) => {
      if (!cache.has(name)) cache.set(name, weights.find(prefix + name))
      return cache.get(name)
    }
  }

  /**
   * @param x `[hidden]` the residual stream of the row
   * @param context rows that it attends to, ascending, itself excluded
   */
  run(x: Float32Array, position: number, context: readonly KvRow[]): { output: Float32Array; kv: KvRow } {
    const w = this.#w
    const epsilon = this.#config.rms_norm_eps
    const inputNorm = w('input_layernorm.weight')
    const normed = inputNorm ? rmsNorm(x, inputNorm, epsilon) : x
    const q = this.#heads(normed, 'q', position)
    const kv = { k: this.#heads(normed, 'k', position), v: this.#project(normed, 'v') }
    const attended = linear(
      w('self_attn.o_proj.weight')!,
      this.#attend(q, [...context, kv]),
      w('self_attn.o_proj.bias'),
    )
    const a = add(x, attended)
    const m = rmsNorm(a, w('post_attention_layernorm.weight')!, epsilon)
    const up = linear(w('mlp.up_proj.weight')!, m)
    const gated = linear(w('mlp.gate_proj.weight')!, m).map((gate, i) => (gate / (1 + Math.exp(-gate))) * up[i]!)
    return { output: add(a, linear(w('mlp.down_proj.weight')!, gated)), kv }
  }

  #project(x: Float32Array, name: 'q' | 'k' | 'v'): Float32Array {
    return linear(this.#w(`self_attn.${name}_proj.weight`)!, x, this.#w(`self_attn.${name}_proj.bias`))
  }

  /** Projected, per head normalised where the model does so, and rotated. */
  #heads(x: Float32Array, name: 'q' | 'k', position: number): Float32Array {
    const all = this.#project(x, name)
    const norm = this.#w(`self_attn.${name}_norm.weight`)
    const size = this.#headDim
    for (let start = 0; start < all.length; start += size) {
      const head = all.subarray(start, start + size)
      if (norm) head.set(rmsNorm(head, norm, this.#config.rms_norm_eps))
      for (let i = 0; i < size / 2; i++) {
        const angle = position * this.#frequencies[i]!
        const [a, b] = [head[i]!, head[i + size / 2]!]
        head[i] = a * Math.cos(angle) - b * Math.sin(angle)
        head[i + size / 2] = b * Math.cos(angle) + a * Math.sin(angle)
      }
    }
    return all
  }

  #attend(q: Float32Array, rows: readonly KvRow[]): Float32Array {
    const size = this.#headDim
    const group = this.#config.num_attention_heads / this.#config.num_key_value_heads
    const result = new Float32Array(q.length)
    for (let head = 0; head < this.#config.num_attention_heads; head++) {
      const at = head * size
      const kvAt = Math.floor(head / group) * size
      const scores = rows.map(({ k }) => {
        let dot = 0
        for (let i = 0; i < size; i++) dot += q[at + i]! * k[kvAt + i]!
        return dot / Math.sqrt(size)
      })
      const max = Math.max(...scores)
      const weights = scores.map((score) => Math.exp(score - max))
      const sum = weights.reduce((total, weight) => total + weight, 0)
      for (const [row, { v }] of rows.entries()) {
        for (let i = 0; i < size; i++) result[at + i]! += (weights[row]! / sum) * v[kvAt + i]!
      }
    }
    return result
  }
}

/** `[headDim / 2]`, with llama3's stretching of the long wavelengths where the config asks for it. */
function ropeFrequencies(config: TinyConfig, headDim: number): Float64Array {
  const scaling = config.rope_parameters ?? config.rope_scaling
  const theta = config.rope_theta ?? config.rope_parameters?.rope_theta ?? 10000
  return Float64Array.from({ length: headDim / 2 }, (_, i) => {
    const frequency = theta ** ((-2 * i) / headDim)
    if (scaling?.rope_type !== 'llama3') return frequency
    const { factor = 1, low_freq_factor: low = 1, high_freq_factor: high = 1 } = scaling
    const turns = ((scaling.original_max_position_embeddings ?? 0) * frequency) / (2 * Math.PI)
    const blend = Math.min(1, Math.max(0, (turns - low) / (high - low)))
    return frequency * (blend + (1 - blend) / factor)
  })
}

/** The target: prompt in, features (after the final norm) and logits out. */
export class TinyTarget {
  readonly config: TinyConfig
  readonly embedding: Float32Array
  readonly lmHead: Float32Array
  readonly #layers: TinyLayer[]
  readonly #norm: Float32Array

  constructor(name: string) {
    this.config = readGoldenJson('models', name, 'config.json') as TinyConfig
    const weights = new TinyWeights('models', name)
    this.embedding = weights.get('model.embed_tokens.weight')
    this.lmHead = weights.find('lm_head.weight') ?? this.embedding
    this.#norm = weights.get('model.norm.weight')
    this.#layers = Array.from(
      { length: this.config.num_hidden_layers },
      (_, l) => new TinyLayer(this.config, weights, `model.layers.${l}.`),
    )
  }

  /** `[tokens]` features `[hidden]` of a whole text. */
  features(tokens: ArrayLike<number>): Float32Array[] {
    let rows = Array.from(tokens, (token) => this.embed(token))
    for (const layer of this.#layers) {
      const cache: KvRow[] = []
      rows = rows.map((x, position) => {
        const { output, kv } = layer.run(x, position, cache)
        cache.push(kv)
        return output
      })
    }
    return rows.map((x) => rmsNorm(x, this.#norm, this.config.rms_norm_eps))
  }

  logits(feature: Float32Array): Float32Array {
    return linear(this.lmHead, feature)
  }

  embed(token: number): Float32Array {
    const size = this.config.hidden_size
    return this.embedding.slice(token * size, (token + 1) * size)
  }
}
