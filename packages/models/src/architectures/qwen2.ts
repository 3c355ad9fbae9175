import type { Architecture } from './decoder.js'
import { llama } from './llama.js'

/** Qwen2 and Qwen2.5 (arXiv 2407.10671): LLaMA's decoder, whose q, k and v projections have biases. */
export const qwen2: Architecture = llama
