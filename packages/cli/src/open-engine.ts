import { basename } from 'node:path'
import { type Engine, type EngineOptions, loadEngine } from '@hass-engine/engine'
import { doctor } from '@hass-engine/kernels'
import { engineOptions, type ModelFlags } from './options.js'
import type { Terminal } from './terminal.js'

/**
 * Loads the engine that the flags ask for; says so on a terminal, and warns where it will be slow.
 *
 * @param options what the flags do not say, or say otherwise
 */
export async function openEngine(
  flags: ModelFlags,
  { errors }: Terminal,
  signal?: AbortSignal,
  options: EngineOptions = {},
): Promise<Engine> {
  if ((flags.device ?? 'auto') === 'auto' && (await doctor({ measure: false })).addonError) {
    errors.write('The native kernels could not be loaded, the slow reference computes: see "hass doctor".\n')
  }
  if (errors.isTTY) errors.write(`Loading ${modelName(flags)} …`)
  try {
    return await loadEngine({ ...engineOptions(flags), ...(signal && { signal }), ...options })
  } finally {
    if (errors.isTTY) errors.write('\r\u001b[K')
  }
}

export function modelName({ model }: ModelFlags): string {
  return model === undefined ? 'SmolLM2-135M-Instruct' : basename(model)
}
