import { execFileSync } from 'node:child_process'
import { appendFile, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { expectRefusal } from '../testing/expect-refusal.js'
import { createMemorySource, readBytes } from './byte-source.js'
import { openFileSource } from './file-source.js'
import { createWindowSource } from './window-source.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-weights-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('openFileSource', () => {
  it('reads ranges', async () => {
    const path = join(folder, 'a')
    await writeFile(path, Uint8Array.of(1, 2, 3, 4))
    const source = await openFileSource(path)
    expect(source).toMatchObject({ name: 'a', location: path, size: 4 })
    expect([...(await readBytes(source, 1, 2))]).toEqual([2, 3])
    expect([...(await readBytes(source, 4, 0))]).toEqual([])
  })

  it('gives no fewer bytes than asked', async () => {
    const path = join(folder, 'a')
    await writeFile(path, 'abcd')
    const source = await openFileSource(path)
    await expectRefusal(readBytes(source, 3, 2), 'HASS_ERR_TRUNCATED')
    await expectRefusal(source.readInto(new Uint8Array(2), 3), 'HASS_ERR_TRUNCATED')
    await expectRefusal(readBytes(source, -1, 1), 'HASS_ERR_TRUNCATED')
    await expectRefusal(readBytes(source, 0, -1), 'HASS_ERR_TRUNCATED')
  })

  it('refuses what is no file, and does not wait for a pipe', async () => {
    const error = await expectRefusal(openFileSource(join(folder, 'missing')), 'HASS_ERR_FILE_READ')
    expect(error.details).toEqual({ file: 'missing', code: 'ENOENT' })
    expect(error.message).not.toContain(folder)
    await expectRefusal(openFileSource(folder), 'HASS_ERR_FILE_READ')
    execFileSync('mkfifo', [join(folder, 'pipe')])
    await expectRefusal(openFileSource(join(folder, 'pipe')), 'HASS_ERR_FILE_READ')
  })

  it('notices a file that was replaced, changed, or removed', async () => {
    const path = join(folder, 'a')
    await writeFile(path, 'abcd')
    const source = await openFileSource(path)
    await writeFile(join(folder, 'b'), 'efgh')
    await rename(join(folder, 'b'), path)
    await expectRefusal(readBytes(source, 0, 4), 'HASS_ERR_FILE_CHANGED')
    const again = await openFileSource(path)
    await appendFile(path, 'i')
    await expectRefusal(readBytes(again, 0, 4), 'HASS_ERR_FILE_CHANGED')
    await rm(path)
    await expectRefusal(readBytes(again, 0, 4), 'HASS_ERR_FILE_READ')
  })

  it.runIf(process.platform === 'linux')('holds no descriptors between reads', async () => {
    const path = join(folder, 'a')
    await writeFile(path, 'abcd')
    const source = await openFileSource(path)
    const openDescriptors = async () => (await readdir('/proc/self/fd')).length
    const before = await openDescriptors()
    for (let i = 0; i < 50; i++) await readBytes(source, 0, 4)
    for (let i = 0; i < 50; i++) await expectRefusal(readBytes(source, 3, 4))
    expect(await openDescriptors()).toBe(before)
  })
})

describe('createWindowSource', () => {
  it('reads the same with fewer calls', async () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => i)
    const memory = createMemorySource(bytes)
    let calls = 0
    const source = createWindowSource(
      {
        ...memory,
        readInto(target, offset) {
          calls++
          return memory.readInto(target, offset)
        },
      },
      16,
    )
    for (let at = 0; at <= 97; at++) expect([...(await readBytes(source, at, 3))]).toEqual([at, at + 1, at + 2])
    expect(calls).toBeLessThan(10)
    expect(await readBytes(source, 5, 60)).toEqual(bytes.subarray(5, 65))
    await expectRefusal(source.readInto(new Uint8Array(3), 98), 'HASS_ERR_TRUNCATED')
    await expectRefusal(source.readInto(new Uint8Array(3), 98), 'HASS_ERR_TRUNCATED')
  })
})
