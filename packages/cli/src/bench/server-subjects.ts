import type { BenchmarkSubject } from '@hass-engine/bench'
import type { Client } from '@hass-engine/client'
import { UsageError } from '../errors.js'
import { connect, refuseLocalFlags } from '../open-server.js'
import type { ModelFlags, ServerKindFlags } from '../options.js'
import type { Terminal } from '../terminal.js'
import type { OpenedSubjects } from './open-subjects.js'

export interface ServerSubjectFlags extends ModelFlags, ServerKindFlags {
  /** `NAME=URL` each. */
  readonly server?: readonly string[]
  readonly eagleDraft?: string
  readonly methods?: readonly string[]
}

/**
 * A subject for each server, the first being what the others are compared with.
 *
 * @throws UsageError for what is no `NAME=URL`, names that are not unique, and flags of a model on this machine
 */
export function openServerSubjects(
  servers: readonly string[],
  flags: ServerSubjectFlags,
  terminal: Terminal,
): OpenedSubjects {
  refuseLocalFlags(flags)
  if (flags.methods !== undefined || flags.eagleDraft !== undefined) {
    throw new UsageError('--methods and --eagle-draft are for a model on this machine: leave them or --server out.')
  }
  const places = servers.map(parseServer)
  const twice = places.find(({ name }, i) => places.findIndex((other) => other.name === name) < i)
  if (twice) throw new UsageError(`Two servers are called "${twice.name}"; each row of the tables needs its own name.`)
  const clients: Client[] = []
  const subjects = places.map(({ name, url }): BenchmarkSubject => {
    const generator = connect(url, flags, terminal)
    clients.push(generator)
    const { serverKind = 'openai', serverModel } = flags
    return { name, generator, settings: { url, serverKind, serverModel: serverModel ?? null }, isStreamed: true }
  })
  return {
    subjects,
    facts: { servers: Object.fromEntries(places.map(({ name, url }) => [name, url])) },
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client[Symbol.asyncDispose]()
    },
  }
}

function parseServer(text: string): { readonly name: string; readonly url: string } {
  const [, name, url] = /^([^=/]+)=(https?:\/\/.+)$/.exec(text) ?? []
  if (name !== undefined && url !== undefined) return { name, url }
  throw new UsageError(`--server ${text} is no NAME=URL, such as plain=http://localhost:30000.`)
}
