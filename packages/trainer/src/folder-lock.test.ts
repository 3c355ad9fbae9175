import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockFolder } from './folder-lock.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-lock-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const gone = { pid: 2 ** 30, host: hostname() }
const lock = () => lockFolder(folder, ({ pid }) => new Error(`held by ${pid}`))

describe('lockFolder', () => {
  it('lets one in at a time', async () => {
    const first = await lock()
    await expect(lock()).rejects.toThrow(`held by ${process.pid}`)
    await first.release()
    const second = await lock()
    // A lock that was released does not release its successor.
    await first.release()
    await expect(lock()).rejects.toThrow('held by')
    await second.release()
    expect(await readdir(folder)).toEqual([])
  })

  it('takes over from a process that is gone, and lets one of many do so', async () => {
    for (let round = 0; round < 30; round++) {
      await writeFile(join(folder, 'lock'), JSON.stringify({ ...gone, nonce: `gone-${round}` }))
      const tries = await Promise.allSettled(Array.from({ length: 8 }, lock))
      expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      for (const one of tries) if (one.status === 'fulfilled') await one.value.release()
      expect(await readdir(folder)).toEqual([])
    }
  })

  it('takes over from a process that went while it took over from another one', async () => {
    await writeFile(join(folder, 'lock'), JSON.stringify({ ...gone, nonce: 'first' }))
    await writeFile(join(folder, 'lock-first'), JSON.stringify({ ...gone, nonce: 'second' }))
    await (await lock()).release()
    expect(await readdir(folder)).toEqual([])
  })

  it('takes over from a process whose number another one has by now', async () => {
    // Begun at another time than the process of that number, this one.
    const left = { pid: process.pid, host: hostname(), nonce: 'gone', startedAt: 'before 1' }
    await writeFile(join(folder, 'lock'), JSON.stringify(left))
    await (await lock()).release()
    expect(await readdir(folder)).toEqual([])
  })

  it('takes over an empty lock', async () => {
    await writeFile(join(folder, 'lock'), '')
    await (await lock()).release()
    expect(await readdir(folder)).toEqual([])
  })

  it('believes a process of another machine to be there', async () => {
    await writeFile(join(folder, 'lock'), JSON.stringify({ pid: 2 ** 30, host: 'elsewhere', nonce: 'x' }))
    await expect(lock()).rejects.toThrow('held by')
  })
})
