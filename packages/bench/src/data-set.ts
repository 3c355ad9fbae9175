import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { DataSetError } from './errors.js'

/** One question: what the user says, turn by turn. The model's own answers go between. */
export interface BenchmarkPrompt {
  readonly id: string
  readonly category?: string
  /** At least one, none of them empty. */
  readonly turns: readonly string[]
}

export interface DataSet {
  /** Short name, unique in a benchmark: `mt-bench`. */
  readonly name: string
  /** What tables print: `MT-bench`. */
  readonly title: string
  readonly prompts: readonly BenchmarkPrompt[]
  /** SHA-256 of the prompts as they stand here, hexadecimal. */
  readonly sha256: string
}

/** A prompt is text that people write; what is longer is no prompt, and a file of such would exhaust memory. */
const maxFileBytes = 64 * 2 ** 20

/** Puts a data set together from prompts. */
export function createDataSet(name: string, title: string, prompts: readonly BenchmarkPrompt[]): DataSet {
  return { name, title, prompts, sha256: promptsDigest(prompts) }
}

/**
 * Reads prompts from a file: one JSON object a line, `{"id", "category"?, "turns": ["…", …]}`, UTF-8.
 *
 * @throws DataSetError `HASS_ERR_DATA_SET`, with `details.file` and `details.line`, counted from 1
 */
export async function loadPrompts(path: string): Promise<BenchmarkPrompt[]> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    throw new DataSetError(`The data set ${path} cannot be read: ${(cause as Error).message}.`, { file: path }, cause)
  }
  if (bytes.length > maxFileBytes) {
    throw new DataSetError(`The data set ${path} has ${bytes.length} bytes, expected ${maxFileBytes} at most.`, {
      file: path,
      bytes: bytes.length,
    })
  }
  return parsePrompts(bytes, path)
}

/** @throws DataSetError for the first line that is no prompt, or where there is none at all */
export function parsePrompts(bytes: Uint8Array, file: string): BenchmarkPrompt[] {
  const prompts: BenchmarkPrompt[] = []
  const lineOf = new Map<string, number>()
  for (const [index, text] of decode(bytes, file).split('\n').entries()) {
    if (text.trim() === '') continue
    const line = index + 1
    const prompt = parsePrompt(text, (what) => {
      throw new DataSetError(`${file}, line ${line}: ${what}.`, { file, line })
    })
    const earlier = lineOf.get(prompt.id)
    if (earlier !== undefined) {
      throw new DataSetError(`${file}, line ${line}: the id "${prompt.id}" is that of line ${earlier} too.`, {
        file,
        line,
      })
    }
    lineOf.set(prompt.id, line)
    prompts.push(prompt)
  }
  if (prompts.length === 0) throw new DataSetError(`The data set ${file} has no prompts.`, { file })
  return prompts
}

/** SHA-256 over ids and turns, hexadecimal: what is asked, however the file spells it. */
export function promptsDigest(prompts: readonly BenchmarkPrompt[]): string {
  const hash = createHash('sha256')
  for (const { id, turns } of prompts) hash.update(`${JSON.stringify([id, ...turns])}\n`)
  return hash.digest('hex')
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new DataSetError(`The data set ${file} is no UTF-8 text.`, { file }, cause)
  }
}

function parsePrompt(text: string, refuse: (what: string) => never): BenchmarkPrompt {
  const value = parseObject(text, refuse)
  const { id, category, turns, ...rest } = value
  const unknown = Object.keys(rest)[0]
  if (unknown !== undefined) refuse(`the key "${unknown}" is unknown, a prompt has id, category and turns`)
  if (typeof id !== 'string' || id === '') refuse('"id" is no text, or empty')
  if (category !== undefined && typeof category !== 'string') refuse('"category" is no text')
  const areTexts = Array.isArray(turns) && turns.every((turn) => typeof turn === 'string' && turn !== '')
  if (!areTexts || turns.length === 0) refuse('"turns" is no list of texts, at least one and none of them empty')
  return { id, turns: turns as string[], ...(category !== undefined && { category }) }
}

function parseObject(text: string, refuse: (what: string) => never): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    refuse(`no JSON (${(error as Error).message})`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse('no JSON object')
  return value as Record<string, unknown>
}
