import { access, readdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, isAbsolute, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkOptionKeys, InvalidArgumentError } from '@hass-engine/core'
import { type CatalogueEntry, catalogue, catalogueEntry } from './catalogue.js'
import { createDataSet, type DataSet, loadPrompts } from './data-set.js'
import { DataSetError } from './errors.js'

/** `dist` and `src` both stand beside `datasets`. */
const packagedFolder = fileURLToPath(new URL('../datasets', import.meta.url))

export interface OpenDataSetsOptions {
  /**
   * A folder of `NAME.jsonl` files that is read instead of everything else. Defaults to `HASS_DATASETS_DIR`, then to
   * what this package carries and what has been fetched.
   */
  readonly directory?: string
  /** Where fetched data sets are kept. Defaults to `$XDG_CACHE_HOME/hass-engine/datasets`. */
  readonly cache?: string
  /** Defaults to the process's. */
  readonly environment?: Readonly<Record<string, string | undefined>>
}

/**
 * Opens data sets by name, or prompts of one's own by path (whatever ends in `.jsonl` is a path).
 *
 * @throws DataSetError `HASS_ERR_DATA_SET`; InvalidArgumentError for names given twice
 */
export async function openDataSets(names: readonly string[], options: OpenDataSetsOptions = {}): Promise<DataSet[]> {
  checkOptionKeys(options, ['directory', 'cache', 'environment'], 'openDataSets')
  const dataSets = await Promise.all(names.map((name) => openOne(name, options)))
  const shorts = dataSets.map(({ name }) => name)
  const twice = shorts.find((name, i) => shorts.indexOf(name) !== i)
  if (twice !== undefined) {
    throw new InvalidArgumentError(`The data set ${twice} is given twice.`, { name: twice })
  }
  return dataSets
}

/**
 * The names of data sets that can be opened: of the papers' six those that are there, a stand-in for each that is
 * missing and has one, and whatever else a folder of one's own holds (`references-*.jsonl`, answers, excepted).
 *
 * @throws DataSetError `HASS_ERR_DATA_SET` for a folder that cannot be read
 */
export async function availableDataSets(options: OpenDataSetsOptions = {}): Promise<string[]> {
  const isThere = new Map<string, boolean>()
  for (const entry of catalogue) isThere.set(entry.name, (await locate(entry, options)) !== undefined)
  const known = catalogue
    .filter(({ name, standsInFor }) => isThere.get(name) && !(standsInFor && isThere.get(standsInFor)))
    .map(({ name }) => name)
  return [...known, ...(await othersIn(folderOf(options)))]
}

async function othersIn(folder: string | undefined): Promise<string[]> {
  if (folder === undefined) return []
  const files = await readdir(folder).catch((cause: Error) => {
    throw new DataSetError(`The folder of data sets ${folder} cannot be read: ${cause.message}.`, { folder }, cause)
  })
  return files
    .filter((file) => file.endsWith('.jsonl') && !file.startsWith('references-'))
    .map((file) => basename(file, '.jsonl'))
    .filter((name) => isPlain(name) && !catalogueEntry(name))
    .sort()
}

/** Where fetched data sets are kept: `$XDG_CACHE_HOME/hass-engine/datasets`, else below `~/.cache`. */
export function dataSetCache(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const configured = environment.XDG_CACHE_HOME ?? ''
  // The XDG base directory specification: a relative path is to be ignored.
  return join(isAbsolute(configured) ? configured : join(homedir(), '.cache'), 'hass-engine', 'datasets')
}

async function openOne(name: string, options: OpenDataSetsOptions): Promise<DataSet> {
  if (name.endsWith('.jsonl')) {
    const short = basename(name, '.jsonl')
    return createDataSet(short, short, await loadPrompts(name))
  }
  const folder = folderOf(options)
  const entry = catalogueEntry(name) ?? (folder !== undefined && isPlain(name) ? { name, title: name } : undefined)
  if (!entry) {
    throw new DataSetError(
      `There is no data set "${name}": known are ${catalogue.map((known) => known.name).join(', ')}; prompts of your own are a path that ends in .jsonl.`,
      { name },
    )
  }
  const path = await locate(entry, options)
  if (path === undefined) throw notThere(entry, folder)
  return createDataSet(entry.name, entry.title, await loadPrompts(path))
}

async function locate(
  entry: Pick<CatalogueEntry, 'name'> & Partial<CatalogueEntry>,
  options: OpenDataSetsOptions,
): Promise<string | undefined> {
  const { environment, cache = dataSetCache(environment) } = options
  const folder = folderOf(options) ?? (entry.isPackaged ? packagedFolder : cache)
  const path = join(folder, `${entry.name}.jsonl`)
  return access(path).then(
    () => path,
    () => undefined,
  )
}

function folderOf({ directory, environment = process.env }: OpenDataSetsOptions): string | undefined {
  // Set and empty is not set.
  return directory ?? (environment.HASS_DATASETS_DIR || undefined)
}

function isPlain(name: string): boolean {
  return /^[\w-]+(\.[\w-]+)*$/.test(name)
}

function notThere({ name, ...entry }: { name: string } & Partial<CatalogueEntry>, folder?: string): DataSetError {
  const standIn = catalogue.find(({ standsInFor }) => standsInFor === name)
  const advice =
    folder !== undefined
      ? `${folder} has no ${name}.jsonl`
      : `it is not carried along (${entry.licence}); fetch it with "hass bench fetch ${name}", or give a path`
  return new DataSetError(
    `The data set ${name} is not here: ${advice}${standIn && folder === undefined ? `, or take ${standIn.name}` : ''}.`,
    { name, ...(folder !== undefined && { folder }) },
  )
}
