import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { CorpusError } from './errors.js'

/** What a user says, turn by turn; the target answers after each. */
export interface CorpusPrompt {
  readonly id: string
  /** What kind of prompt it is: statistics and selections are by it. */
  readonly domain: string
  readonly turns: readonly string[]
}

export interface ReadPromptsOptions {
  /** JSONL files, each a domain of its own by the name given here. */
  readonly files: readonly { readonly domain: string; readonly path: string }[]
  /** Prompts whose id begins with one of these are left out. Defaults to none. */
  readonly excludedPrefixes?: readonly string[]
}

/**
 * Reads prompts, a JSON object `{ "id": …, "turns": […] }` a line, and interleaves the files: first line of each,
 * second line of each, …, so that any beginning of the list has of every domain.
 *
 * @throws CorpusError `HASS_ERR_PROMPTS`, naming file and line
 */
export async function readPrompts({ files, excludedPrefixes = [] }: ReadPromptsOptions): Promise<CorpusPrompt[]> {
  const lists = await Promise.all(
    files.map(async ({ domain, path }) => {
      const prompts = (await readJsonLines(path)).map(({ value, where }) => parsePrompt(value, domain, where))
      return prompts.filter(({ id }) => !excludedPrefixes.some((prefix) => id.startsWith(prefix)))
    }),
  )
  const longest = Math.max(0, ...lists.map(({ length }) => length))
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list[i] ?? [])).flat()
}

/**
 * Parses a file of one JSON value a line; empty lines are passed over.
 *
 * @throws CorpusError `HASS_ERR_PROMPTS`
 */
export async function readJsonLines(path: string): Promise<{ readonly value: unknown; readonly where: string }[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new CorpusError('HASS_ERR_PROMPTS', `${basename(path)} cannot be read: ${error.code}.`, { path }, error)
  })
  return text.split('\n').flatMap((line, index) => {
    const where = `${basename(path)}, line ${index + 1}`
    if (line.trim() === '') return []
    try {
      return [{ value: JSON.parse(line) as unknown, where }]
    } catch (cause) {
      throw new CorpusError('HASS_ERR_PROMPTS', `${where} is no JSON: expected one object a line.`, { path }, cause)
    }
  })
}

function parsePrompt(value: unknown, domain: string, where: string): CorpusPrompt {
  const { id, turns } = (value ?? {}) as Record<string, unknown>
  const areTurns = Array.isArray(turns) && turns.length > 0 && turns.every((turn) => typeof turn === 'string')
  if (typeof id === 'string' && areTurns) return { id, domain, turns }
  throw new CorpusError(
    'HASS_ERR_PROMPTS',
    `${where} is no prompt: expected {"id": text, "turns": [text, …]} with at least one turn.`,
    { where },
  )
}

/** A temperature, and the share of prompts that are answered at it. */
export interface TemperatureShare {
  readonly temperature: number
  readonly share: number
}

/** How a prompt's answers are chosen. */
export interface PromptDraw {
  readonly temperature: number
  readonly seed: bigint
}

/**
 * Temperature and seed of a prompt, a function of salt and id alone: from SHA-256 of the two, its first byte for the
 * temperature, bytes 8 to 15 for the seed.
 *
 * @param temperatures shares that add up to 1
 */
export function drawPrompt(id: string, temperatures: readonly TemperatureShare[], salt: string): PromptDraw {
  const digest = createHash('sha256')
    .update(salt + id)
    .digest()
  const uniform = digest[0]! / 256
  let sum = 0
  const drawn = temperatures.find(({ share }) => {
    sum += share
    return uniform < sum
  })
  return { temperature: (drawn ?? temperatures.at(-1)!).temperature, seed: digest.readBigUInt64LE(8) }
}
