import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { catalogue } from './catalogue.js'
import { createDataSet, loadPrompts, parsePrompts } from './data-set.js'
import { availableDataSets, openDataSets } from './open-data-sets.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-bench-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const file = async (name: string, text: string) => {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}
/** Neither a folder of one's own nor anything fetched. */
const bare = { environment: {}, cache: '/nowhere' }

describe('loadPrompts', () => {
  it('reads a prompt a line, blank lines aside', async () => {
    const path = await file('mine.jsonl', '{"id":"a","turns":["x","y"]}\r\n\n{"id":"b","category":"c","turns":["é"]}')
    expect(await loadPrompts(path)).toEqual([
      { id: 'a', turns: ['x', 'y'] },
      { id: 'b', category: 'c', turns: ['é'] },
    ])
  })

  it.each([
    ['{"id":"a","turns":["x"]}\n{"id":"b"', 2, /no JSON/],
    ['[1]', 1, /no JSON object/],
    ['null', 1, /no JSON object/],
    ['{"turns":["x"]}', 1, /"id"/],
    ['{"id":"","turns":["x"]}', 1, /"id"/],
    ['{"id":"a","turns":"x"}', 1, /"turns"/],
    ['{"id":"a","turns":[]}', 1, /"turns"/],
    ['{"id":"a","turns":["x",""]}', 1, /"turns"/],
    ['{"id":"a","category":1,"turns":["x"]}', 1, /"category"/],
    ['{"id":"a","turns":["x"],"answer":1}', 1, /"answer" is unknown/],
    ['\n{"id":"a","turns":["x"]}\n{"id":"a","turns":["y"]}', 3, /that of line 2/],
  ])('refuses %j, naming file and line %d', async (text, line, message) => {
    const path = await file('bad.jsonl', text)
    const error: Error = await loadPrompts(path).catch((reason) => reason)
    expect(error).toMatchObject({ code: 'HASS_ERR_DATA_SET', details: { file: path, line } })
    expect(error.message).toMatch(message)
    expect(error.message).toContain(`${path}, line ${line}`)
  })

  it('refuses files without prompts, of other bytes, and that are not there', async () => {
    const expected = { code: 'HASS_ERR_DATA_SET' }
    await expect(loadPrompts(await file('empty.jsonl', '\n'))).rejects.toMatchObject(expected)
    await expect(loadPrompts(join(folder, 'none.jsonl'))).rejects.toMatchObject(expected)
    expect(() => parsePrompts(Uint8Array.of(0x7b, 0xff), 'x')).toThrow(/UTF-8/)
  })
})

describe('createDataSet', () => {
  it('has the digest of what is asked, not of how it is spelt', async () => {
    const [plain, spaced] = ['{"id":"a","turns":["x"]}', '{ "turns": ["x"], "id": "a", "category": "c" }']
    const digest = async (text: string) =>
      createDataSet('n', 'N', await loadPrompts(await file('d.jsonl', text))).sha256
    expect(await digest(plain)).toBe(await digest(spaced))
    expect(await digest(plain)).not.toBe(await digest('{"id":"a","turns":["y"]}'))
  })
})

describe('openDataSets', () => {
  it('opens what is carried along, 80 prompts each', async () => {
    const names = catalogue.filter(({ isPackaged }) => isPackaged).map(({ name }) => name)
    const sets = await openDataSets(names, bare)
    expect(sets.map(({ prompts }) => prompts.length)).toEqual(names.map(() => 80))
    expect(sets.find(({ name }) => name === 'mt-bench')!.prompts.every(({ turns }) => turns.length === 2)).toBe(true)
  })

  it('carries nothing whose licence forbids it', () => {
    const forbidden = catalogue.filter(({ licence }) => /NC|SA|evaluation only/.test(licence))
    expect(forbidden.map(({ name }) => name)).toEqual(['alpaca', 'natural-questions', 'cnn-dailymail'])
    expect(forbidden.some(({ isPackaged }) => isPackaged)).toBe(false)
  })

  it('never calls a stand-in by the name of what it stands for', () => {
    for (const { title, standsInFor } of catalogue) {
      const original = catalogue.find(({ name }) => name === standsInFor)
      if (original) expect(title).not.toContain(original.title)
    }
  })

  it('reads another folder instead of everything else, from the option or HASS_DATASETS_DIR', async () => {
    await file('mt-bench.jsonl', '{"id":"mine","turns":["x"]}\n')
    await file('sonnets.jsonl', '{"id":"s","turns":["x"]}\n')
    for (const options of [{ ...bare, directory: folder }, { environment: { HASS_DATASETS_DIR: folder } }]) {
      const [mtBench, sonnets] = await openDataSets(['mt-bench', 'sonnets'], options)
      expect([mtBench!.title, mtBench!.prompts[0]!.id, sonnets!.title]).toEqual(['MT-bench', 'mine', 'sonnets'])
      await expect(openDataSets(['gsm8k'], options)).rejects.toThrow(`${folder} has no gsm8k.jsonl`)
      await expect(openDataSets(['../sonnets'], options)).rejects.toThrow('no data set')
    }
  })

  it('opens what was fetched, and says how where it was not', async () => {
    const error: Error = await openDataSets(['alpaca'], bare).catch((reason) => reason)
    expect(error.message).toMatch(/hass bench fetch alpaca.*or take instructions-open/)
    await file('alpaca.jsonl', '{"id":"a","turns":["x"]}\n')
    expect((await openDataSets(['alpaca'], { environment: {}, cache: folder }))[0]!.title).toBe('Alpaca')
  })

  it('takes a path for prompts of one’s own', async () => {
    const path = await file('own.jsonl', '{"id":"a","turns":["x"]}\n')
    expect(await openDataSets([path], bare)).toMatchObject([{ name: 'own', title: 'own' }])
  })

  it('refuses names that it does not know, and the same one twice', async () => {
    await expect(openDataSets(['mtbench'], bare)).rejects.toThrow(/no data set "mtbench"/)
    await expect(openDataSets(['gsm8k', 'gsm8k'], bare)).rejects.toMatchObject({ code: 'HASS_ERR_INVALID_ARGUMENT' })
  })
})

describe('availableDataSets', () => {
  it('finds what a folder holds, answers excepted', async () => {
    const directory = await mkdtemp(join(folder, 'own-'))
    for (const name of ['sonnets.jsonl', 'gsm8k.jsonl', 'references-gsm8k.jsonl', 'README.md']) {
      await writeFile(join(directory, name), '')
    }
    expect(await availableDataSets({ directory })).toEqual(['gsm8k', 'sonnets'])
    await expect(availableDataSets({ directory: '/nowhere' })).rejects.toMatchObject({ code: 'HASS_ERR_DATA_SET' })
  })

  it('takes stand-ins for what is missing, and only then', async () => {
    const packaged = await availableDataSets(bare)
    expect(packaged).toEqual(['mt-bench', 'humaneval', 'gsm8k', 'instructions-open', 'summarization-open'])
    const cache = await mkdtemp(join(folder, 'cache-'))
    await writeFile(join(cache, 'alpaca.jsonl'), '')
    expect(await availableDataSets({ environment: {}, cache })).toEqual([
      'mt-bench',
      'humaneval',
      'gsm8k',
      'alpaca',
      'summarization-open',
    ])
  })
})
