import { type FileHandle, open, readFile, truncate } from 'node:fs/promises'
import type { TrainingEvent } from './events.js'

/** A line of the log: an event without tensors, and when it happened; or the failure that ended a sitting. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly type: string; readonly time: string }

/** `log.jsonl` of a run: one line an event, of this sitting and of those before. */
export class RunLog {
  readonly #file: FileHandle
  #bytes: number

  private constructor(file: FileHandle, bytes: number) {
    this.#file = file
    this.#bytes = bytes
  }

  /**
   * Opens a log to append to it.
   *
   * @param keep bytes of it that belong to the checkpoint from which the run goes on: what was done after it is done
   * again, so its lines are cut
   */
  static async open(path: string, keep: number): Promise<RunLog> {
    const file = await open(path, 'a')
    const bytes = Math.min(keep, (await file.stat()).size)
    await truncate(path, bytes)
    return new RunLog(file, bytes)
  }

  /** Bytes written. */
  get bytes(): number {
    return this.#bytes
  }

  async append(event: TrainingEvent | { readonly type: 'failure'; readonly error: unknown }): Promise<void> {
    const line = Buffer.from(`${JSON.stringify({ time: new Date().toISOString(), ...event }, withoutTensors)}\n`)
    await this.#file.appendFile(line)
    this.#bytes += line.byteLength
  }

  /** Until this returns, a loss of power may take lines that a checkpoint counts on. */
  async sync(): Promise<void> {
    await this.#file.sync()
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

/** The lines of a log; one that was cut while it was written, the last, is left out. */
export async function readLog(path: string): Promise<LogLine[]> {
  const lines = (await readFile(path, 'utf8')).split('\n')
  lines.pop()
  return lines.map((line) => JSON.parse(line) as LogLine)
}

function withoutTensors(_key: string, value: unknown): unknown {
  if (value instanceof Map) return undefined
  if (value instanceof Error) return { code: (value as { code?: unknown }).code, message: value.message }
  return value
}
