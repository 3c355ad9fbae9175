import { basename } from 'node:path'
import { type Engine, type EngineOptions, loadEngine } from '@hass-engine/engine'
import { doctor } from '@hass-engine/kernels'
import { type Generator, openServer, refuseServerKind } from './open-server.js'
import { engineOptions, type ModelFlags, type ServerFlags } from './options.js'
import type { Terminal } from './terminal.js'

/** The engine or the server that the flags ask for. */
export async function openGenerator(
  flags: ModelFlags & ServerFlags,
  terminal: Terminal,
  signal?: AbortSignal,
): Promise<Generator> {
  if (flags.server !== undefined) return openServer(flags.server, flags, terminal)
  refuseServerKind(flags)
  return openEngine(flags, terminal, signal)
}

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

export function modelName({ model, server, serverModel }: ModelFlags & ServerFlags): string {
  if (server !== undefined) return serverModel === undefined ? server : `${serverModel} at ${server}`
  return model === undefined ? 'SmolLM2-135M-Instruct' : basename(model)
}
