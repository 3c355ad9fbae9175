import { type Architecture, preNormDecoder } from './decoder.js'

/** LLaMA 2 and 3 (arXiv 2307.09288, 2407.21783): grouped-query attention with rotary positions, SwiGLU. */
export const llama: Architecture = (pass) =>
  preNormDecoder(pass, (layer, h) => {
    const [q, k, v] = layer.queryKeyValue(h)
    return layer.attend(layer.rotate(q), layer.rotate(k), v)
  })
