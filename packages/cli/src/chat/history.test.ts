import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { appendHistory, historyPath, readHistory } from './history.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-history-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('history', () => {
  it('stands in the folder for state', () => {
    expect(historyPath({ XDG_STATE_HOME: '/state' })).toBe(join('/state', 'hass-engine', 'chat-history'))
    expect(historyPath({})).toMatch(/hass-engine/)
  })

  it('gives lines back, the latest first', async () => {
    const path = historyPath({ XDG_STATE_HOME: folder })
    await appendHistory(path, 'first')
    await appendHistory(path, 'zweite Zeile 日本')
    expect(await readHistory(path)).toEqual(['zweite Zeile 日本', 'first'])
  })

  it.skipIf(process.platform === 'win32')('is for the user alone', async () => {
    const path = historyPath({ XDG_STATE_HOME: folder })
    await appendHistory(path, 'secret')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('is cut to the last thousand lines when it has grown long', async () => {
    const path = join(folder, 'long')
    await writeFile(path, Array.from({ length: 2001 }, (_, i) => `line ${i}\n`).join(''))
    const lines = await readHistory(path)
    expect([lines.length, lines[0], lines.at(-1)]).toEqual([1000, 'line 2000', 'line 1001'])
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(1001)
  })

  it('does without a file that cannot be read or written', async () => {
    expect(await readHistory(folder)).toEqual([])
    await appendHistory(folder, 'line')
    await writeFile(join(folder, 'file'), '')
    await appendHistory(join(folder, 'file', 'below'), 'line')
  })
})
