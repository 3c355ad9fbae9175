import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { CorpusError } from './errors.js'

/** A file of prompts, and what its domain is called. */
export interface PromptFile {
  readonly domain: string
  readonly path: string
}

/**
 * Files of prompts at a path: the file itself, or the files `prompts-DOMAIN.jsonl` of a folder by their names. A file's
 * domain is its name without `prompts-` and `.jsonl`.
 *
 * @param domains of a folder: those wanted, in the order in which they are to be interleaved. Defaults to all
 * @throws CorpusError `HASS_ERR_PROMPTS`
 */
export async function findPromptFiles(path: string, domains?: readonly string[]): Promise<PromptFile[]> {
  const stats = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new CorpusError('HASS_ERR_PROMPTS', `${basename(path)} cannot be read: ${error.code}.`, { path }, error)
  })
  if (!stats.isDirectory()) return [{ domain: domainOf(path), path }]
  const names = (await readdir(path)).filter((name) => /^prompts-.+\.jsonl$/.test(name)).sort()
  const wanted = domains?.map((domain) => `prompts-${domain}.jsonl`) ?? names
  const missing = wanted.find((name) => !names.includes(name))
  if (missing === undefined && wanted.length > 0) {
    return wanted.map((name) => ({ domain: domainOf(name), path: join(path, name) }))
  }
  throw new CorpusError(
    'HASS_ERR_PROMPTS',
    `${basename(path)} has no ${missing ?? 'prompts-DOMAIN.jsonl'}; it has ${names.join(', ') || 'no prompts'}.`,
    { path, found: names },
  )
}

function domainOf(path: string): string {
  return basename(path)
    .replace(/^prompts-/, '')
    .replace(/\.jsonl$/, '')
}
