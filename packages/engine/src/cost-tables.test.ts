import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createScriptedDraft, createScriptedTarget } from '@hass-engine/core/test'
import { openDevice } from '@hass-engine/kernels'
import { type OpenedModel, openModel } from '@hass-engine/weights'
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { goldenPath } from '../../../test/support/golden.js'
import { type CostTableOptions, loadCostTables, measureCostTables } from './cost-tables.js'
import { createModelFolder, goldenHeads, TinyModels, targetOf } from './testing/tiny-models.js'

const next = () => [1, 2, 3, 4, 5]
const head = goldenHeads[0]!

describe('cost tables', () => {
  let cache: string
  let folder: Awaited<ReturnType<typeof createModelFolder>>
  let model: OpenedModel
  let passes = 0
  const device = openDevice({ kind: 'reference' })
  afterAll(() => device.dispose())

  beforeEach(async () => {
    cache = await mkdtemp(join(tmpdir(), 'hass-engine-costs-'))
    vi.stubEnv('XDG_CACHE_HOME', cache)
    folder = await createModelFolder(targetOf(head))
    model = await openModel(folder.path)
  })
  afterEach(async () => {
    vi.unstubAllEnvs()
    await folder.dispose()
    await rm(cache, { recursive: true, force: true })
  })

  const options = async (changes: Partial<CostTableOptions> = {}): Promise<CostTableOptions> => {
    const target = createScriptedTarget({ vocabSize: 5, next })
    const forward = target.forward.bind(target)
    target.forward = (...call) => {
      passes += 1
      return forward(...call)
    }
    const models = [model, await openModel(goldenPath('heads', head))]
    return { target, draft: createScriptedDraft({ vocabSize: 5, next }), device, models, ...changes }
  }
  const load = async (changes?: Partial<CostTableOptions>) => {
    passes = 0
    const tables = await loadCostTables(await options(changes))
    return { tables, isMeasured: passes > 0 }
  }
  const files = async () => {
    const kept = join(cache, 'hass-engine', 'costs')
    return (await readdir(kept)).map((name) => join(kept, name))
  }

  it('can be measured of a target alone, and are kept apart from those with a head', async () => {
    const alone = { draft: undefined, models: [model] }
    const { tables, isMeasured } = await load(alone)
    expect([isMeasured, tables.draft.ms.every((ms) => ms > 0 && ms < 1e-3)]).toEqual([true, true])
    expect(await load(alone)).toEqual({ tables, isMeasured: false })
    expect((await load()).isMeasured).toBe(true)
  })

  it('rise with the rows, and are no larger than the models can hold', async () => {
    const tiny = new TinyModels()
    const place = { kind: 'cpu', threads: 1, head, cacheTokens: 258 } as const
    const [target, draft] = [await tiny.target(place), await tiny.draft(place, 'golden')]
    const tables = await measureCostTables(target, draft)
    for (const { rows, ms } of [tables.verify, tables.draft]) {
      expect(rows).toEqual([...rows].sort((a, b) => a - b))
      expect(ms).toEqual([...ms].sort((a, b) => a - b))
      expect(ms[0]).toBeGreaterThan(0)
    }
    expect([target.cache.free, draft.cache.free]).toEqual([258, 258])
    await tiny.dispose()
  })

  it('end with the signal, and give their rows back', async () => {
    const reason = new Error('never mind')
    await expect(loadCostTables(await options({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason)
  })

  it('are measured once for the same files, device and settings', async () => {
    const first = await load()
    const second = await load()
    expect([first.isMeasured, second.isMeasured]).toEqual([true, false])
    expect(second.tables).toEqual(first.tables)
  })

  it('are measured again for another head, other settings, another device, or files that have changed', async () => {
    await load()
    const others = goldenHeads.filter((name) => name !== head)
    expect(others.length).toBeGreaterThan(0)
    for (const other of others) {
      expect((await load({ models: [model, await openModel(goldenPath('heads', other))] })).isMeasured).toBe(true)
    }
    expect((await load({ settings: ['F16'] })).isMeasured).toBe(true)
    const cpu = openDevice({ kind: 'cpu', threads: 1 })
    expect((await load({ device: cpu })).isMeasured).toBe(true)
    cpu.dispose()
    const [weights] = [...model.tensors.values()].map(({ file }) => file)
    await utimes(weights!, 1, 1)
    expect((await load()).isMeasured).toBe(true)
  })

  it.each([
    '',
    '{',
    'null',
    '[]',
    '{"verify":null,"draft":null}',
    '{"verify":{"rows":[1],"ms":["1"]},"draft":{"rows":[1],"ms":[1]}}',
    '{"verify":{"rows":[2,1],"ms":[1,2]},"draft":{"rows":[1],"ms":[1]}}',
    '{"verify":{"rows":[1,2],"ms":[1]},"draft":{"rows":[1],"ms":[1]}}',
    '{"verify":{"rows":[1,2],"ms":[2,1]},"draft":{"rows":[1],"ms":[1]}}',
    '{"verify":{"rows":[],"ms":[]},"draft":{"rows":[1],"ms":[1]}}',
    '{"verify":{"rows":[0],"ms":[0]},"draft":{"rows":[1],"ms":[1]}}',
  ])('are measured again where the kept file is %j', async (content) => {
    await load()
    const [file] = await files()
    await writeFile(file!, content)
    expect((await load()).isMeasured).toBe(true)
    expect((await load()).isMeasured).toBe(false)
    expect(await files()).toEqual([file])
  })

  it('are of use where they cannot be kept', async () => {
    await writeFile(join(cache, 'file'), '')
    vi.stubEnv('XDG_CACHE_HOME', join(cache, 'file'))
    expect((await load()).isMeasured).toBe(true)
    vi.stubEnv('XDG_CACHE_HOME', join(cache, 'locked'))
    await mkdir(join(cache, 'locked'))
    await chmod(join(cache, 'locked'), 0o500)
    expect((await load()).isMeasured).toBe(true)
  })

  it('are kept in the home directory where XDG_CACHE_HOME is empty or relative', async () => {
    vi.stubEnv('HOME', cache)
    for (const value of ['', 'relative']) {
      vi.stubEnv('XDG_CACHE_HOME', value)
      await load()
      const kept = join(cache, '.cache', 'hass-engine', 'costs')
      expect(await readdir(kept)).toHaveLength(1)
      await rm(kept, { recursive: true })
    }
  })

  it('are whole whoever else writes them at the same time', async () => {
    await Promise.all(Array.from({ length: 8 }, () => load()))
    const kept = await files()
    expect(kept).toHaveLength(1)
    expect(Object.keys(JSON.parse(await readFile(kept[0]!, 'utf8')))).toEqual(['verify', 'draft'])
    expect((await load()).isMeasured).toBe(false)
  })
})
