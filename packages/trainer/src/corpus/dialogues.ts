import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { ChatMessage } from '@hass-engine/core'
import { CorpusError } from './errors.js'
import { readJsonLines } from './prompts.js'

/** A conversation that is learnt from as it stands: the target reads it and writes nothing. */
export interface CorpusDialogue {
  readonly id: string
  readonly domain: string
  readonly messages: readonly ChatMessage[]
}

/** What ShareGPT calls the speakers. */
const shareGptRoles: ReadonlyMap<unknown, string> = new Map([
  ['human', 'user'],
  ['user', 'user'],
  ['gpt', 'assistant'],
  ['chatgpt', 'assistant'],
  ['bing', 'assistant'],
  ['bard', 'assistant'],
  ['assistant', 'assistant'],
  ['system', 'system'],
])

/**
 * Reads conversations: `{ "messages": [{ "role", "content" }, …] }` or ShareGPT's
 * `{ "conversations": [{ "from", "value" }, …] }`, one a line or as one JSON array, with or without an `id`.
 * Those in which the assistant says nothing are left out; ShareGPT's that begin with the assistant lose that beginning.
 *
 * @param domain Defaults to the file's name
 * @throws CorpusError `HASS_ERR_PROMPTS`, naming file and place
 */
export async function readDialogues(path: string, domain = nameOf(path)): Promise<CorpusDialogue[]> {
  const entries = (await isArray(path)) ? await readArray(path) : await readJsonLines(path)
  return entries.flatMap(({ value, where }, index) => {
    const { id, messages, conversations } = (value ?? {}) as Record<string, unknown>
    const read = Array.isArray(messages) ? readMessages(messages) : readShareGpt(conversations)
    if (!read) {
      throw new CorpusError(
        'HASS_ERR_PROMPTS',
        `${where} is no dialogue: expected {"messages": [{"role", "content"}, …]} or {"conversations": [{"from", "value"}, …]}.`,
        { where },
      )
    }
    const isAnswered = read.some(({ role }) => role === 'assistant')
    return isAnswered ? [{ id: typeof id === 'string' ? id : `${domain}/${index}`, domain, messages: read }] : []
  })
}

function readMessages(messages: readonly unknown[]): ChatMessage[] | undefined {
  const areMessages = messages.every((message) => {
    const { role, content } = (message ?? {}) as Record<string, unknown>
    return typeof role === 'string' && typeof content === 'string'
  })
  return areMessages && messages.length > 0 ? (messages as ChatMessage[]) : undefined
}

function readShareGpt(conversations: unknown): ChatMessage[] | undefined {
  if (!Array.isArray(conversations)) return undefined
  const messages: ChatMessage[] = []
  for (const turn of conversations) {
    const { from, value } = (turn ?? {}) as Record<string, unknown>
    const role = shareGptRoles.get(from)
    if (role === undefined || typeof value !== 'string') return undefined
    messages.push({ role, content: value })
  }
  const first = messages.findIndex(({ role }) => role !== 'assistant')
  return first === -1 ? [] : messages.slice(first)
}

function nameOf(path: string): string {
  return basename(path).replace(/\.jsonl?$/, '')
}

async function isArray(path: string): Promise<boolean> {
  return path.endsWith('.json') && (await readText(path)).trimStart().startsWith('[')
}

async function readArray(path: string): Promise<{ readonly value: unknown; readonly where: string }[]> {
  try {
    const values = JSON.parse(await readText(path)) as unknown[]
    return values.map((value, index) => ({ value, where: `${basename(path)}, entry ${index}` }))
  } catch (cause) {
    throw new CorpusError('HASS_ERR_PROMPTS', `${basename(path)} is no JSON array of dialogues.`, { path }, cause)
  }
}

function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new CorpusError('HASS_ERR_PROMPTS', `${basename(path)} cannot be read: ${error.code}.`, { path }, error)
  })
}
