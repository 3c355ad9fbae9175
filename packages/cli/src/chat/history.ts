import { appendFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Terminal } from '../terminal.js'

const maxLines = 1000

/** Where the lines of chats are kept: the user's folder for state. */
export function historyPath({ XDG_STATE_HOME, LOCALAPPDATA }: Terminal['environment']): string {
  const state = XDG_STATE_HOME || LOCALAPPDATA || join(homedir(), '.local', 'state')
  return join(state, 'hass-engine', 'chat-history')
}

/** Lines that were typed before, the latest first; none where they cannot be read. A file grown long is cut. */
export async function readHistory(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const lines = text.split('\n').filter(Boolean)
  const kept = lines.slice(-maxLines)
  if (lines.length > 2 * maxLines) await replaceFile(path, `${kept.join('\n')}\n`)
  return kept.reverse()
}

/** Keeps one line, for the user's eyes alone. A line that cannot be kept is no reason to end a chat. */
export async function appendHistory(path: string, line: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await appendFile(path, `${line}\n`, { mode: 0o600 })
  } catch {
    return
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}`
  try {
    await writeFile(temporary, text, { mode: 0o600 })
    await rename(temporary, path)
  } catch {
    return
  }
}
