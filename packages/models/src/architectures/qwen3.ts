import { type Architecture, preNormDecoder } from './decoder.js'

/** Qwen3 (arXiv 2505.09388): queries and keys are normalized per head before they are rotated; no biases. */
export const qwen3: Architecture = (pass) =>
  preNormDecoder(pass, (layer, h) => {
    const [q, k, v] = layer.queryKeyValue(h)
    const rotate = (x: typeof q, norm: string) => layer.rotate(layer.norm(x, norm))
    return layer.attend(rotate(q, 'self_attn.q_norm'), rotate(k, 'self_attn.k_norm'), v)
  })
