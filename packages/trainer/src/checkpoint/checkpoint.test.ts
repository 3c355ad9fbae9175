import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { TrainingError } from '../run/errors.js'
import { contentOf } from '../testing/checkpoint-content.js'
import { type FileSystemCall, observeFileSystem } from '../testing/faulty-file-system.js'
import { hashState } from '../testing/tiny-run.js'
import { findCheckpoint, listCheckpoints, loadCheckpoint, setAside } from './load-checkpoint.js'
import { encodeManifest, partNames } from './manifest.js'
import { removeTemporaries, saveCheckpoint } from './save-checkpoint.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-checkpoint-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const files = [...partNames.map((part) => `${part}.safetensors`), 'manifest.json']
const nameOf = (step: number) => `step-${String(step).padStart(9, '0')}`
const hashOf = (step: number) => hashState(contentOf(step).state)
const failure = (run: Promise<unknown>): Promise<TrainingError | undefined> =>
  run.then(
    () => undefined,
    (error) => error,
  )
const refusals = (code: string) => (call: FileSystemCall) =>
  Object.assign(new Error(`${code}: refused, ${call}`), { code })

describe('a checkpoint', () => {
  it('is read as it was saved', async () => {
    const content = contentOf(7)
    expect(await saveCheckpoint(folder, content)).toBe(nameOf(7))
    const { name, manifest, state, skipped } = await findCheckpoint(folder)
    expect([name, skipped]).toEqual([nameOf(7), []])
    expect(hashState(state)).toBe(hashOf(7))
    const { position, identity, history } = content
    expect(manifest).toMatchObject({ position, identity, history })
    expect(await readFile(join(folder, 'latest'), 'utf8')).toBe(`${nameOf(7)}\n`)
  })

  it('replaces the oldest ones beyond those that are kept', async () => {
    for (const step of [1, 2, 10, 9]) await saveCheckpoint(folder, contentOf(step), { keep: 2 })
    expect(await listCheckpoints(folder)).toEqual([nameOf(10), nameOf(9)])
    expect((await readdir(folder)).sort()).toEqual(['latest', nameOf(9), nameOf(10)].sort())
  })

  it('may be saved again for the same step', async () => {
    await saveCheckpoint(folder, contentOf(3))
    await saveCheckpoint(folder, contentOf(3))
    expect(hashState((await findCheckpoint(folder)).state)).toBe(hashOf(3))
    expect(await readdir(folder)).toHaveLength(2)
  })

  it('survives short writes', async () => {
    const fileSystem = observeFileSystem(() => {}, { isShortOfWriting: true })
    await saveCheckpoint(folder, contentOf(4), { fileSystem })
    expect(hashState((await findCheckpoint(folder)).state)).toBe(hashOf(4))
  })
})

describe('a save that fails', () => {
  const countCalls = async () => {
    const seen: FileSystemCall[] = []
    const fileSystem = observeFileSystem((call) => seen.push(call))
    await saveCheckpoint(folder, contentOf(1))
    await saveCheckpoint(folder, contentOf(2), { fileSystem, keep: 1 })
    return seen
  }

  it.each(['ENOSPC', 'EIO'])('with %s at any call leaves the earlier checkpoint or the whole new one', async (code) => {
    const seen = await countCalls()
    expect(new Set(seen)).toEqual(new Set(['open', 'write', 'sync', 'close', 'rename', 'rm', 'mkdir', 'readdir']))
    const outcomes = new Set<string>()
    for (const [index, call] of seen.entries()) {
      await rm(folder, { recursive: true, force: true })
      await saveCheckpoint(folder, contentOf(1))
      const fileSystem = observeFileSystem((_, number) => {
        if (number === index + 1) throw refusals(code)(call)
      })
      const error = await failure(saveCheckpoint(folder, contentOf(2), { fileSystem, keep: 1 }))
      const { state, skipped } = await findCheckpoint(folder)
      expect(skipped).toEqual([])
      const isNew = hashState(state) === hashOf(2)
      if (!isNew) expect(hashState(state)).toBe(hashOf(1))
      if (error) expect(error).toMatchObject({ code: 'HASS_ERR_CHECKPOINT_WRITE', details: { reason: code } })
      else expect(isNew).toBe(true)
      outcomes.add(`${error ? 'refused' : 'saved'} ${isNew ? 'new' : 'old'}`)
      // What has failed once may succeed later, and nothing stays behind.
      await removeTemporaries(folder)
      await saveCheckpoint(folder, contentOf(2), { keep: 1 })
      expect((await readdir(folder)).sort()).toEqual(['latest', nameOf(2)].sort())
    }
    expect([...outcomes].sort()).toEqual(['refused new', 'refused old', 'saved new'])
  })

  it('in a sync does not sync that file again', async () => {
    await saveCheckpoint(folder, contentOf(1))
    let syncs = 0
    const fileSystem = observeFileSystem((call) => {
      if (call !== 'sync') return
      syncs += 1
      if (syncs === 2) throw refusals('EIO')(call)
    })
    expect(await failure(saveCheckpoint(folder, contentOf(2), { fileSystem }))).toMatchObject({
      code: 'HASS_ERR_CHECKPOINT_WRITE',
    })
    expect(syncs).toBe(2)
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })
})

describe('a damaged checkpoint', () => {
  const refuse = async (part: string, what: string) => {
    const error = await failure(loadCheckpoint(folder, nameOf(5)))
    expect(error, what).toMatchObject({ code: 'HASS_ERR_CHECKPOINT_CORRUPT', details: { checkpoint: nameOf(5), part } })
    expect(error!.message).toContain(part)
  }

  it.each(files)('is refused for one flipped bit anywhere in %s', async (part) => {
    await saveCheckpoint(folder, contentOf(5))
    const path = join(folder, nameOf(5), part)
    const bytes = await readFile(path)
    const stride = Math.max(1, Math.floor(bytes.length / 150))
    for (let offset = 0; offset < bytes.length; offset += stride) {
      const damaged = Buffer.from(bytes)
      damaged[offset]! ^= 1 << (offset % 8)
      await writeFile(path, damaged)
      await refuse(part, `bit ${offset % 8} of byte ${offset}`)
    }
  })

  it.each(files)('is refused when %s is cut anywhere, longer, or missing', async (part) => {
    await saveCheckpoint(folder, contentOf(5))
    const path = join(folder, nameOf(5), part)
    const bytes = await readFile(path)
    for (let length = 0; length < bytes.length - 1; length += Math.ceil(bytes.length / 40)) {
      await writeFile(path, bytes.subarray(0, length))
      await refuse(part, `${length} bytes of ${bytes.length}`)
    }
    if (part !== 'manifest.json') {
      await writeFile(path, Buffer.concat([bytes, Buffer.alloc(1)]))
      await refuse(part, 'one byte more')
    }
    await rm(path)
    await refuse(part, 'missing')
  })

  it.each(partNames)('is refused when its %s are of another step', async (part) => {
    await saveCheckpoint(folder, contentOf(5))
    await saveCheckpoint(folder, contentOf(6))
    await cp(join(folder, nameOf(6), `${part}.safetensors`), join(folder, nameOf(5), `${part}.safetensors`))
    await refuse(`${part}.safetensors`, 'of another step')
  })

  it('is refused when a later version wrote it', async () => {
    await saveCheckpoint(folder, contentOf(5))
    const { manifest } = await loadCheckpoint(folder, nameOf(5))
    await writeFile(join(folder, nameOf(5), 'manifest.json'), encodeManifest({ ...manifest, version: 2 as 1 }))
    await refuse('manifest.json', 'version')
    expect((await failure(loadCheckpoint(folder, nameOf(5))))!.message).toContain('version 2')
  })

  it('does not hide an earlier one', async () => {
    for (const step of [1, 2, 3]) await saveCheckpoint(folder, contentOf(step))
    for (const step of [2, 3]) await truncate(join(folder, nameOf(step), 'first-moments.safetensors'), 100)
    const { name, state, skipped } = await findCheckpoint(folder)
    expect(name).toBe(nameOf(1))
    expect(hashState(state)).toBe(hashOf(1))
    expect(skipped.map(({ details }) => details)).toEqual(
      [3, 2].map((step) => ({ checkpoint: nameOf(step), part: 'first-moments.safetensors' })),
    )
    await setAside(folder, [nameOf(2), nameOf(3)])
    expect((await findCheckpoint(folder)).skipped).toEqual([])
    expect((await stat(join(folder, `${nameOf(3)}.corrupt`))).isDirectory()).toBe(true)
  })

  it('is never a fresh start', async () => {
    await saveCheckpoint(folder, contentOf(1))
    await rm(join(folder, nameOf(1), 'manifest.json'))
    expect(await failure(findCheckpoint(folder))).toMatchObject({ code: 'HASS_ERR_CHECKPOINT_CORRUPT' })
  })
})
