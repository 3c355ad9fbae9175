import type { ModelConfig } from '@hass-engine/weights'
import { ModelUnsupportedError } from '../errors.js'
import type { Architecture } from './decoder.js'
import { llama } from './llama.js'
import { qwen2 } from './qwen2.js'
import { qwen3 } from './qwen3.js'

const targets: Readonly<Record<string, Architecture>> = { llama, qwen2, qwen3 }

/**
 * The forward pass of a target's architecture.
 *
 * @throws ModelUnsupportedError `HASS_ERR_MODEL_UNSUPPORTED`
 */
export function targetArchitecture({ architecture }: ModelConfig): Architecture {
  const build = targets[architecture]
  if (build) return build
  const known = Object.keys(targets)
  throw new ModelUnsupportedError(
    `The architecture ${architecture} is not computed as a target, expected one of ${known.join(', ')}.`,
    { architecture, known },
  )
}
