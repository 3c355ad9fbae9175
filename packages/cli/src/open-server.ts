import { createClient } from '@hass-engine/client'
import type { TextGenerator } from '@hass-engine/core'
import type { ChatEngine } from './chat/conversation.js'
import { UsageError } from './errors.js'
import type { ModelFlags, ServerFlags } from './options.js'
import type { Terminal } from './terminal.js'

/** What `chat` and `generate` need, here or on a server. */
export type Generator = ChatEngine & TextGenerator & AsyncDisposable

/** Of `chat` and `generate`: flags that only a model on this machine can obey. */
const localFlags = ['model', 'draft', 'threads', 'device', 'contextTokens'] as const

/**
 * The server that the flags name. Its key is `HASS_API_KEY` of the environment: flags are seen by everybody on a machine.
 *
 * @throws UsageError `HASS_ERR_USAGE` for flags of a model on this machine
 */
export function openServer(url: string, flags: ModelFlags & ServerFlags, { environment }: Terminal): Generator {
  const local = localFlags.find((name) => flags[name] !== undefined)
  if (local)
    throw new UsageError(
      `--${local === 'contextTokens' ? 'context-tokens' : local} is for a model on this machine: leave it or --server out.`,
    )
  const apiKey = environment.HASS_API_KEY
  const client = createClient({
    baseURL: url,
    server: flags.serverKind ?? 'openai',
    ...(flags.serverModel !== undefined && { model: flags.serverModel }),
    ...(apiKey && { apiKey }),
  })
  return {
    generateText: (options) => client.generateText(options),
    streamText: (options) => client.streamText(options),
    // Which trees it grows is the server's own affair.
    policy: { name: 'of the server' },
    tokenizer: { decode: (ids) => Array.from(ids, (id) => `<${id}>`).join('') },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}
