import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { checkOptionKeys } from '@hass-engine/core'
import { catalogue, catalogueEntry, type FetchSource } from './catalogue.js'
import type { BenchmarkPrompt } from './data-set.js'
import { DataSetError } from './errors.js'
import { dataSetCache } from './open-data-sets.js'

/** The largest of them has 280 KB. */
const maxBytes = 8 * 2 ** 20

export interface FetchDataSetOptions {
  /** Where to keep it. Defaults to `$XDG_CACHE_HOME/hass-engine/datasets`. */
  readonly cache?: string
  /** Where to fetch it from instead: a mirror, with the same bytes or at least the same turns. */
  readonly source?: FetchSource
  /** Milliseconds for the whole download. Defaults to 60 000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/**
 * Downloads a data set that this package may not carry, checks what it asks against a known SHA-256, and keeps it.
 *
 * @returns the path of the file
 * @throws DataSetError `HASS_ERR_DATA_SET`: a name that cannot be fetched, an answer other than 200, too many bytes,
 * something else than the questions that are expected; the reason of `signal`
 */
export async function fetchDataSet(name: string, options: FetchDataSetOptions = {}): Promise<string> {
  checkOptionKeys(options, ['cache', 'source', 'timeoutMs', 'signal'], 'fetchDataSet')
  const source = options.source ?? catalogueEntry(name)?.source
  if (!source) {
    const names = catalogue.filter((entry) => entry.source).map((entry) => entry.name)
    throw new DataSetError(`The data set "${name}" is none to be fetched; these are: ${names.join(', ')}.`, { name })
  }
  const bytes = await download(source.url, options)
  const prompts = parseQuestions(new TextDecoder().decode(bytes), name, source.url)
  const found = turnsDigest(prompts)
  if (found !== source.turnsSha256) {
    throw new DataSetError(
      `${source.url} asks other questions than expected: SHA-256 of the turns ${found}, expected ${source.turnsSha256}.`,
      { url: source.url, found, expected: source.turnsSha256 },
    )
  }
  const path = join(options.cache ?? dataSetCache(), `${name}.jsonl`)
  await store(path, prompts.map((prompt) => `${JSON.stringify(prompt)}\n`).join(''))
  return path
}

/** What a source's `turnsSha256` is compared with. */
export function turnsDigest(prompts: readonly BenchmarkPrompt[]): string {
  const hash = createHash('sha256')
  for (const { turns } of prompts) hash.update(`${JSON.stringify(turns)}\n`)
  return hash.digest('hex')
}

async function download(url: string, { timeoutMs = 60_000, signal }: FetchDataSetOptions): Promise<Uint8Array> {
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(url, { signal: signal ? AbortSignal.any([timeout, signal]) : timeout })
    if (response.status !== 200) {
      throw new DataSetError(`${url} answered ${response.status} ${response.statusText}, expected 200.`, {
        url,
        status: response.status,
      })
    }
    return await readBounded(response.body!, url)
  } catch (cause) {
    if (cause instanceof DataSetError) throw cause
    signal?.throwIfAborted()
    const reason = timeout.aborted ? `nothing came within ${timeoutMs} ms` : reasonOf(cause)
    throw new DataSetError(`${url} cannot be fetched: ${reason}.`, { url }, cause)
  }
}

/** fetch says "fetch failed" and hides what failed in the cause. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as Error
  return cause instanceof Error ? cause.message : message
}

async function readBounded(body: ReadableStream<Uint8Array>, url: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > maxBytes) throw new DataSetError(`${url} sends more than ${maxBytes} bytes.`, { url, maxBytes })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The layout of the source: `{"question_id", "category"?, "turns"}`. */
function parseQuestions(text: string, name: string, file: string): BenchmarkPrompt[] {
  return text.split('\n').flatMap((row, index): BenchmarkPrompt[] => {
    if (row.trim() === '') return []
    const { question_id: id, category, turns } = parseRow(row, file, index + 1)
    if (!Array.isArray(turns)) {
      throw new DataSetError(`${file}, line ${index + 1}: "turns" is no list.`, { file, line: index + 1 })
    }
    return [{ id: `${name}/${id}`, ...(typeof category === 'string' && { category }), turns }]
  })
}

function parseRow(row: string, file: string, line: number): Record<string, unknown> {
  try {
    return Object(JSON.parse(row)) as Record<string, unknown>
  } catch (cause) {
    throw new DataSetError(`${file}, line ${line}: no JSON.`, { file, line }, cause)
  }
}

/** Written aside and renamed: what bears the name is whole. */
async function store(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`
  await mkdir(dirname(path), { recursive: true })
  try {
    const file = await open(temporary, 'wx')
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
