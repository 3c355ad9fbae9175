import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readDialogues } from './dialogues.js'
import { findPromptFiles } from './prompt-files.js'
import { drawPrompt, readPrompts } from './prompts.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-prompts-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const write = async (name: string, lines: readonly unknown[]) => {
  const path = join(folder, name)
  await writeFile(path, lines.map((line) => JSON.stringify(line)).join('\n'))
  return path
}
const prompt = (id: string) => ({ id, source: 'somewhere', turns: [`about ${id}`] })

describe('readPrompts', () => {
  it('interleaves domains, and leaves prefixes out', async () => {
    await write('prompts-a.jsonl', ['x/1', 'no/1', 'x/2', 'x/3'].map(prompt))
    await write('prompts-b.jsonl', ['y/1', 'y/2'].map(prompt))
    const files = await findPromptFiles(folder)
    const prompts = await readPrompts({ files, excludedPrefixes: ['no'] })
    expect(prompts.map(({ id, domain }) => `${domain}:${id}`)).toEqual(['a:x/1', 'b:y/1', 'a:x/2', 'b:y/2', 'a:x/3'])
    expect(prompts[0]).toEqual({ id: 'x/1', domain: 'a', turns: ['about x/1'] })
    const reversed = await readPrompts({ files: await findPromptFiles(folder, ['b', 'a']) })
    expect(reversed.map(({ id }) => id).slice(0, 2)).toEqual(['y/1', 'x/1'])
  })

  it.each([[{ id: 'x' }], [{ id: 'x', turns: [] }], [{ id: 3, turns: ['x'] }], [{ id: 'x', turns: [3] }], [null]])(
    'refuses the line %j, and names it',
    async (line) => {
      const path = await write('some.jsonl', [prompt('a'), line])
      const error = await readPrompts({ files: await findPromptFiles(path) }).catch((refused) => refused)
      expect(error).toMatchObject({ code: 'HASS_ERR_PROMPTS' })
      expect(error.message).toContain('some.jsonl, line 2')
    },
  )

  it('refuses files that are missing or no JSON', async () => {
    await writeFile(join(folder, 'bad.jsonl'), '{"id": \n')
    for (const path of [join(folder, 'bad.jsonl'), join(folder, 'none.jsonl'), folder]) {
      const reading = findPromptFiles(path).then((files) => readPrompts({ files }))
      await expect(reading).rejects.toMatchObject({ code: 'HASS_ERR_PROMPTS' })
    }
    await write('prompts-a.jsonl', [])
    await expect(findPromptFiles(folder, ['b'])).rejects.toThrow(/no prompts-b\.jsonl; it has prompts-a\.jsonl/)
  })
})

describe('drawPrompt', () => {
  const shares = [
    { temperature: 0, share: 0.5 },
    { temperature: 1, share: 0.3 },
    { temperature: 0.7, share: 0.2 },
  ]

  it('gives temperatures their shares, and every prompt its own seed', () => {
    const draws = Array.from({ length: 4000 }, (_, i) => drawPrompt(`id/${i}`, shares, ''))
    for (const { temperature, share } of shares) {
      const found = draws.filter((draw) => draw.temperature === temperature).length / draws.length
      // Five standard errors, and the step of the byte that is drawn.
      expect(Math.abs(found - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share)) / draws.length) + 1 / 256)
    }
    expect(new Set(draws.map(({ seed }) => seed)).size).toBe(draws.length)
    expect(draws[7]).toEqual(drawPrompt('id/7', shares, ''))
    expect(drawPrompt('id/7', shares, 'salt').seed).not.toBe(draws[7]!.seed)
    const digest = createHash('sha256').update('id/7').digest()
    expect(draws[7]!.seed).toBe(digest.readBigUInt64LE(8))
  })
})

describe('readDialogues', () => {
  const conversations = [
    { from: 'gpt', value: 'welcome' },
    { from: 'human', value: 'a question' },
    { from: 'gpt', value: 'an answer' },
  ]
  const messages = [
    { role: 'user', content: 'a question' },
    { role: 'assistant', content: 'an answer' },
  ]

  it('reads messages and ShareGPT, as lines and as one array', async () => {
    const entries = [{ id: 'named', conversations }, { messages }, { messages: messages.slice(0, 1) }]
    const expected = [
      { id: 'named', domain: 'talk', messages },
      { id: 'talk/1', domain: 'talk', messages },
    ]
    expect(await readDialogues(await write('talk.jsonl', entries))).toEqual(expected)
    const path = join(folder, 'dump.json')
    await writeFile(path, JSON.stringify(entries, null, 2))
    expect(await readDialogues(path, 'talk')).toEqual(expected)
  })

  it.each([
    [{ conversations: [{ from: 'alien', value: 'x' }] }],
    [{ conversations: 'x' }],
    [{ messages: [{ role: 'user' }] }],
    [{ messages: [] }],
    [{}],
  ])('refuses %j', async (entry) => {
    const path = await write('talk.jsonl', [entry])
    await expect(readDialogues(path)).rejects.toMatchObject({ code: 'HASS_ERR_PROMPTS' })
  })

  it('refuses files that are missing or broken', async () => {
    await writeFile(join(folder, 'broken.json'), '[{')
    for (const name of ['broken.json', 'none.json', 'none.jsonl']) {
      await expect(readDialogues(join(folder, name))).rejects.toMatchObject({ code: 'HASS_ERR_PROMPTS' })
    }
  })
})
