import { type FileHandle, open, readFile } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { ResultsFileError, ResultsMismatchError } from './errors.js'
import type { BenchmarkEnvironment, BenchmarkResults, BenchmarkSettings, PromptRecord } from './records.js'

/** Lines of a file of results; the first one holds the settings. */
type Line =
  | { readonly type: 'settings'; readonly settings: BenchmarkSettings }
  | { readonly type: 'environment'; readonly environment: BenchmarkEnvironment }
  | { readonly type: 'prompt'; readonly record: PromptRecord }

/**
 * Results as they come, one JSON object a line. A line is written in one piece and synced before the next prompt is
 * asked: whenever the process dies, what is lost is the prompt that it was at.
 */
export class ResultsFile {
  /** What the file held when it was opened. */
  readonly prompts: readonly PromptRecord[]
  readonly environments: readonly BenchmarkEnvironment[]
  readonly #file: FileHandle

  private constructor(file: FileHandle, results: Omit<BenchmarkResults, 'settings'>) {
    this.#file = file
    this.prompts = results.prompts
    this.environments = results.environments
  }

  /**
   * Begins a file, or goes on with one of the same settings.
   *
   * @throws ResultsMismatchError `HASS_ERR_RESULTS_MISMATCH`; ResultsFileError `HASS_ERR_RESULTS_FILE` for a file that
   * holds something else, or cannot be written
   */
  static async open(path: string, settings: BenchmarkSettings): Promise<ResultsFile> {
    let file: FileHandle
    try {
      file = await open(path, 'a+')
    } catch (cause) {
      throw new ResultsFileError(`${path} cannot be written: ${(cause as Error).message}.`, { path }, cause)
    }
    try {
      const bytes = await file.readFile()
      const length = bytes.lastIndexOf('\n') + 1
      const lines = parseLines(bytes.subarray(0, length), path)
      // The line that was being written when the process died.
      if (length < bytes.length) await file.truncate(length)
      const opened = new ResultsFile(file, resultsOf(lines))
      if (lines.length === 0) await opened.#append({ type: 'settings', settings })
      else refuseOthers(settingsOf(lines, path), settings, path)
      return opened
    } catch (error) {
      await file.close()
      throw error
    }
  }

  appendEnvironment(environment: BenchmarkEnvironment): Promise<void> {
    return this.#append({ type: 'environment', environment })
  }

  appendPrompt(record: PromptRecord): Promise<void> {
    return this.#append({ type: 'prompt', record })
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #append(line: Line): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify(line)}\n`)
    await this.#file.datasync()
  }
}

/**
 * Reads a file of results, finished or not.
 *
 * @throws ResultsFileError `HASS_ERR_RESULTS_FILE`
 */
export async function readResults(path: string): Promise<BenchmarkResults> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    throw new ResultsFileError(`${path} cannot be read: ${(cause as Error).message}.`, { path }, cause)
  }
  const lines = parseLines(bytes.subarray(0, bytes.lastIndexOf('\n') + 1), path)
  return { settings: settingsOf(lines, path), ...resultsOf(lines) }
}

/** @param bytes whole lines */
function parseLines(bytes: Uint8Array, path: string): Line[] {
  const texts = new TextDecoder().decode(bytes).split('\n').slice(0, -1)
  return texts.map((text, index) => {
    try {
      return JSON.parse(text) as Line
    } catch (cause) {
      throw new ResultsFileError(
        `${path}, line ${index + 1}: no JSON. This is no file of results, or it is damaged.`,
        { path, line: index + 1 },
        cause,
      )
    }
  })
}

function settingsOf(lines: readonly Line[], path: string): BenchmarkSettings {
  const first = lines[0]
  if (first?.type === 'settings' && first.settings?.version === 1) return first.settings
  throw new ResultsFileError(`${path} does not begin with settings of version 1: this is no file of results.`, { path })
}

function resultsOf(lines: readonly Line[]): Omit<BenchmarkResults, 'settings'> {
  return {
    environments: lines.flatMap((line) => (line.type === 'environment' ? [line.environment] : [])),
    prompts: lines.flatMap((line) => (line.type === 'prompt' ? [line.record] : [])),
  }
}

function refuseOthers(found: BenchmarkSettings, wanted: BenchmarkSettings, path: string): void {
  const differences = difference(found, JSON.parse(JSON.stringify(wanted)), '')
  if (differences.length > 0) throw new ResultsMismatchError(path, differences)
}

/** Where two values of JSON differ, as `path: found, now wanted`. */
function difference(found: unknown, wanted: unknown, at: string): string[] {
  if (isDeepStrictEqual(found, wanted)) return []
  const areObjects = [found, wanted].every((value) => typeof value === 'object' && value !== null)
  if (!areObjects || Array.isArray(found) !== Array.isArray(wanted)) {
    return [`${at}: ${brief(found)}, now ${brief(wanted)}`]
  }
  const [left, right] = [found, wanted] as Record<string, unknown>[]
  const keys = new Set([...Object.keys(left!), ...Object.keys(right!)])
  return [...keys].flatMap((key) => difference(left![key], right![key], at === '' ? key : `${at}.${key}`))
}

function brief(value: unknown): string {
  return value === undefined ? 'none' : JSON.stringify(value).slice(0, 60)
}
