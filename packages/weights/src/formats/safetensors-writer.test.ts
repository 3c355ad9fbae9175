import * as nodeFiles from 'node:fs/promises'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DType } from '@hass-engine/core'
import { dtypeSize, dtypes } from '@hass-engine/core'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openFileSource } from '../source/file-source.js'
import { expectRefusal } from '../testing/expect-refusal.js'
import type { FileSystem } from './atomic-write.js'
import { openSafetensors } from './safetensors.js'
import { type WritableTensor, writeSafetensors, writeShardedSafetensors } from './safetensors-writer.js'
import { openShards } from './shard-index.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-weights-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const tensor = (name: string, length: number, dtype: DType = 'U8'): WritableTensor => ({
  name,
  dtype,
  shape: [length],
  data: Uint8Array.from({ length: length * dtypeSize(dtype) }, (_, i) => i + name.length),
})
const openPath = async (path: string) => openSafetensors(await openFileSource(path))

describe('writeSafetensors', () => {
  it('writes what the reader reads', async () => {
    const path = join(folder, 'x.safetensors')
    const names = fc.constantFrom('a', 'b', 'layers.0.weight', '__proto__', 'constructor', 'é🙂"\\', '')
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(names, fc.nat(9), fc.constantFrom(...dtypes)), { selector: ([name]) => name }),
        async (list) => {
          const tensors = list.map(([name, length, dtype]) => tensor(name, length, dtype))
          await writeSafetensors(path, tensors, { metadata: { format: 'pt', note: 'é' } })
          const { tensors: read, metadata } = await openPath(path)
          expect(metadata).toEqual(new Map(Object.entries({ format: 'pt', note: 'é' })))
          expect([...read.keys()].sort()).toEqual(tensors.map(({ name }) => name).sort())
          for (const { name, data, dtype, shape } of tensors) {
            const found = read.get(name)!
            expect(found).toMatchObject({ dtype, shape })
            expect(found.offset % dtypeSize(dtype)).toBe(0)
            expect(await found.read()).toEqual(data)
          }
        },
      ),
      { numRuns: 50 },
    )
  })

  it('writes the same bytes in whatever order tensors come', async () => {
    const tensors = [tensor('b', 3), tensor('a', 2, 'F32'), tensor('c', 1, 'F32')]
    await writeSafetensors(join(folder, 'x'), tensors)
    await writeSafetensors(join(folder, 'y'), tensors.toReversed())
    expect(await readFile(join(folder, 'x'))).toEqual(await readFile(join(folder, 'y')))
  })

  it('asks for data when its turn comes', async () => {
    const asked: string[] = []
    const lazy = ['a', 'b'].map((name) => ({
      ...tensor(name, 2),
      data: async () => {
        asked.push(name)
        return Uint8Array.of(1, 2)
      },
    }))
    await writeSafetensors(join(folder, 'x'), lazy)
    expect(asked).toEqual(['a', 'b'])
  })

  it('refuses misuse, and leaves nothing behind', async () => {
    const path = join(folder, 'x')
    const wrong = { ...tensor('a', 2), data: Uint8Array.of(1) }
    await expectRefusal(writeSafetensors(path, [wrong]), 'HASS_ERR_INVALID_ARGUMENT')
    await expectRefusal(writeSafetensors(path, [tensor('a', 1), tensor('a', 2)]), 'HASS_ERR_INVALID_ARGUMENT')
    await expectRefusal(writeSafetensors(path, [tensor('__metadata__', 1)]), 'HASS_ERR_INVALID_ARGUMENT')
    await expectRefusal(writeSafetensors(path, [{ ...tensor('a', 1), shape: [-1] }]), 'HASS_ERR_SHAPE_OVERFLOW')
    await expectRefusal(writeSafetensors(path, [], { meta: {} } as object), 'HASS_ERR_INVALID_ARGUMENT')
    await expectRefusal(
      writeSafetensors(path, [], { metadata: { long: 'x'.repeat(100_000_001) } }),
      'HASS_ERR_INVALID_ARGUMENT',
    )
    const broken = { ...tensor('a', 1), data: () => Promise.reject(new Error('no data')) }
    await expect(writeSafetensors(path, [broken])).rejects.toThrow('no data')
    expect(await readdir(folder)).toEqual([])
  })
})

/** `node:fs/promises` of which one call fails. */
function failing(method: 'open' | 'write' | 'sync' | 'syncFolder' | 'rename', nth: number, code: string): FileSystem {
  let calls = 0
  const failAt = (name: string) => {
    if (name === method && ++calls === nth) throw Object.assign(new Error(code), { code })
  }
  return {
    rm: nodeFiles.rm,
    async rename(from, to) {
      failAt('rename')
      return nodeFiles.rename(from, to)
    },
    async open(path, flags) {
      failAt('open')
      const handle = await nodeFiles.open(path, flags)
      const isFolder = (await handle.stat()).isDirectory()
      return new Proxy(handle, {
        get(target, key) {
          const value = Reflect.get(target, key)
          if (typeof value !== 'function') return value
          return async (...args: unknown[]) => {
            if (key === 'write') failAt('write')
            if (key === 'sync') failAt(isFolder ? 'syncFolder' : 'sync')
            // Disks may take less than they are given.
            if (key === 'write') args[2] = Math.min(args[2] as number, 7)
            return Reflect.apply(value, target, args)
          }
        },
      })
    },
  }
}

describe('a failing disk', () => {
  it.each([
    ['open', 'EACCES', 'HASS_ERR_FILE_WRITE'],
    ['write', 'ENOSPC', 'HASS_ERR_NO_SPACE'],
    ['write', 'EDQUOT', 'HASS_ERR_NO_SPACE'],
    ['write', 'EIO', 'HASS_ERR_FILE_WRITE'],
    ['sync', 'EIO', 'HASS_ERR_FILE_WRITE'],
    ['rename', 'EACCES', 'HASS_ERR_FILE_WRITE'],
  ] as const)('that fails to %s with %s leaves the old file', async (method, code, expected) => {
    const path = join(folder, 'x')
    await writeFile(path, 'old')
    const fileSystem = failing(method, 1, code)
    const error = await expectRefusal(writeSafetensors(path, [tensor('a', 2)], { fileSystem }), expected)
    expect(error.details).toMatchObject({ files: ['x'], code })
    expect(await readdir(folder)).toEqual(['x'])
    expect(await readFile(path, 'utf8')).toBe('old')
  })

  it('at every one of its writes leaves the old files', async () => {
    const tensors = ['a', 'b', 'c'].map((name) => tensor(name, 20))
    await writeShardedSafetensors(folder, tensors, { maxShardBytes: 30 })
    const before = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))))
    const changed = tensors.map((item) => ({ ...item, data: new Uint8Array(20) }))
    let failures = 0
    for (let nth = 1; ; nth++) {
      const fileSystem = failing('write', nth, 'ENOSPC')
      const error: unknown = await writeShardedSafetensors(folder, changed, { maxShardBytes: 30, fileSystem }).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      if (error === undefined) break
      failures++
      expect(error).toMatchObject({ code: 'HASS_ERR_NO_SPACE' })
      expect(await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))))).toEqual(before)
    }
    expect(failures).toBeGreaterThan(10)
    expect(await (await openShards(join(folder, 'model.safetensors.index.json'))).get('b')!.read()).toEqual(
      new Uint8Array(20),
    )
  })

  it('is reported if the folder could not be synced', async () => {
    const fileSystem = failing('syncFolder', 1, 'EIO')
    await expectRefusal(writeSafetensors(join(folder, 'x'), [], { fileSystem }), 'HASS_ERR_FILE_WRITE')
  })
})

describe('writeShardedSafetensors', () => {
  it('writes one file if one suffices, else shards and an index, and removes what is out of date', async () => {
    const tensors = ['a', 'b', 'c'].map((name) => tensor(name, 20))
    expect(await writeShardedSafetensors(folder, tensors)).toEqual(['model.safetensors'])
    const names = await writeShardedSafetensors(folder, tensors, { maxShardBytes: 40 })
    expect(names).toEqual([
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ])
    expect((await readdir(folder)).sort()).toEqual(names)
    const index = JSON.parse(await readFile(join(folder, names[2]!), 'utf8'))
    expect(index).toEqual({ metadata: { total_size: 60 }, weight_map: { a: names[0], b: names[0], c: names[1] } })
    const read = await openShards(join(folder, names[2]!))
    for (const { name, data } of tensors) expect(await read.get(name)!.read()).toEqual(data)
    await writeShardedSafetensors(folder, tensors)
    expect(await readdir(folder)).not.toContain(names[2])
  })

  it('gives a tensor larger than a shard a shard of its own', async () => {
    const tensors = [tensor('a', 50), tensor('b', 5), tensor('c', 5)]
    expect(await writeShardedSafetensors(folder, tensors, { maxShardBytes: 10 })).toHaveLength(3)
  })

  it('refuses misuse', async () => {
    const twice = [tensor('a', 5), tensor('a', 5)]
    await expectRefusal(writeShardedSafetensors(folder, twice, { maxShardBytes: 5 }), 'HASS_ERR_INVALID_ARGUMENT')
    await expectRefusal(writeShardedSafetensors(folder, [], { maxShardBytes: 0 }), 'HASS_ERR_INVALID_ARGUMENT')
    expect(await readdir(folder)).toEqual([])
  })
})

describe('openShards', () => {
  const index = async (value: unknown) => {
    const path = join(folder, 'model.safetensors.index.json')
    await writeFile(path, typeof value === 'string' ? value : JSON.stringify(value))
    return openShards(path)
  }
  it.each([
    ['a list', '[]', 'HASS_ERR_JSON'],
    ['no map', {}, 'HASS_ERR_SHARD_INDEX'],
    ['a path', { weight_map: { a: '../x.safetensors' } }, 'HASS_ERR_UNSAFE_PATH'],
    ['an absolute path', { weight_map: { a: '/etc/passwd' } }, 'HASS_ERR_UNSAFE_PATH'],
    ['a dot', { weight_map: { a: '..' } }, 'HASS_ERR_UNSAFE_PATH'],
    ['a number', { weight_map: { a: 1 } }, 'HASS_ERR_UNSAFE_PATH'],
    ['a missing shard', { weight_map: { a: 'y.safetensors' } }, 'HASS_ERR_FILE_READ'],
    [
      'a tensor that the shard lacks',
      { weight_map: { a: 'x.safetensors', z: 'x.safetensors' } },
      'HASS_ERR_SHARD_INDEX',
    ],
    ['too few tensors', { weight_map: { a: 'x.safetensors' } }, 'HASS_ERR_SHARD_INDEX'],
  ])('refuses %s', async (_, value, code) => {
    await writeSafetensors(join(folder, 'x.safetensors'), [tensor('a', 1), tensor('b', 1)])
    await expectRefusal(index(value), code)
  })
})
