import { type Client, createClient } from '@hass-engine/client'
import type { TextGenerator } from '@hass-engine/core'
import type { ChatEngine } from './chat/conversation.js'
import { UsageError } from './errors.js'
import type { ModelFlags, ServerFlags, ServerKindFlags } from './options.js'
import type { Terminal } from './terminal.js'

/** What `chat` and `generate` need, here or on a server. */
export type Generator = ChatEngine & TextGenerator & AsyncDisposable

/** Flags that only a model on this machine can obey. */
const localFlags = ['model', 'draft', 'threads', 'device', 'contextTokens'] as const

/** @throws UsageError `HASS_ERR_USAGE` for flags of a model on this machine */
export function refuseLocalFlags(flags: ModelFlags): void {
  const local = localFlags.find((name) => flags[name] !== undefined)
  if (local === undefined) return
  const flag = local === 'contextTokens' ? 'context-tokens' : local
  throw new UsageError(`--${flag} is for a model on this machine: leave it or --server out.`)
}

/** @throws UsageError `HASS_ERR_USAGE` for flags that say what a server is, where there is none */
export function refuseServerKind({ serverKind, serverModel }: ServerKindFlags): void {
  if (serverKind === undefined && serverModel === undefined) return
  throw new UsageError('--server-kind and --server-model say what --server is: it is missing.')
}

/** A client of a server. Its key is `HASS_API_KEY` of the environment: flags are seen by everybody on a machine. */
export function connect(url: string, flags: ServerKindFlags, { environment }: Terminal): Client {
  const apiKey = environment.HASS_API_KEY
  return createClient({
    baseURL: url,
    server: flags.serverKind ?? 'openai',
    ...(flags.serverModel !== undefined && { model: flags.serverModel }),
    ...(apiKey && { apiKey }),
  })
}

/**
 * The server that the flags name, for `chat` and `generate`.
 *
 * @throws UsageError `HASS_ERR_USAGE` for flags of a model on this machine
 */
export function openServer(url: string, flags: ModelFlags & ServerFlags, terminal: Terminal): Generator {
  refuseLocalFlags(flags)
  const client = connect(url, flags, terminal)
  return {
    generateText: (options) => client.generateText(options),
    streamText: (options) => client.streamText(options),
    // Which trees it grows is the server's own affair.
    policy: { name: 'of the server' },
    tokenizer: { decode: (ids) => Array.from(ids, (id) => `<${id}>`).join('') },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}
