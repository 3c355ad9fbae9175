import { fileURLToPath } from 'node:url'

export const modelPath = fileURLToPath(new URL('SmolLM2-135M-Instruct.Q4_1.gguf', import.meta.url))
export const headPath = fileURLToPath(new URL('head', import.meta.url))
