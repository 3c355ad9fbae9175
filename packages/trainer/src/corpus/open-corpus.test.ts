import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { corpusTexts, writeTinyCorpus } from '../testing/tiny-corpus.js'
import { openCorpus } from './open-corpus.js'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-corpus-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const at = (name: string) => join(folder, name)

async function flipBit(name: string, bit: number): Promise<void> {
  const bytes = await readFile(at(name))
  bytes[bit >> 3]! ^= 1 << (bit & 7)
  await writeFile(at(name), bytes)
}

describe('openCorpus', () => {
  it.each(['BF16', 'F16'] as const)('reads what was written, features in %s', async (features) => {
    const sequences = corpusTexts(5)
    await writeTinyCorpus(folder, sequences, { features, promptsPerShard: 2 })
    const corpus = await openCorpus(folder)
    expect(corpus.shards).toHaveLength(3)
    for (const [index, { features: written, ...sequence }] of sequences.entries()) {
      expect(corpus.sequences[index]).toEqual(sequence)
      const read = await corpus.readFeatures(index)
      expect(read).toHaveLength(written.length)
      // 8 bits of a mantissa, or 11.
      const relative = features === 'BF16' ? 2 ** -8 : 2 ** -11
      for (const [i, value] of written.entries()) {
        expect(Math.abs(read[i]! - value)).toBeLessThanOrEqual(Math.abs(value) * relative + 1e-7)
      }
    }
  })

  it('keeps NaN and infinities of features as they are', async () => {
    const [sequence] = corpusTexts(1)
    sequence!.features.set([Number.NaN, Infinity, -Infinity, 3.4e38])
    await writeTinyCorpus(folder, [sequence!])
    const read = await (await openCorpus(folder)).readFeatures(0)
    expect([...read.subarray(0, 4)]).toEqual([Number.NaN, Infinity, -Infinity, Infinity])
  })

  it('reads the first shards of a corpus that grows, with a hash of their own', async () => {
    const sequences = corpusTexts(6)
    await writeTinyCorpus(folder, sequences.slice(0, 4), { promptsPerShard: 2, prompts: sequences })
    const first = await openCorpus(folder)
    await writeTinyCorpus(folder, sequences, { promptsPerShard: 2, from: 4 })
    const pinned = await openCorpus(folder, { shards: 2 })
    const all = await openCorpus(folder)
    expect([pinned.sequences.length, all.sequences.length]).toEqual([4, 6])
    expect(pinned.sha256).toBe(first.sha256)
    expect(all.sha256).not.toBe(first.sha256)
    await expect(openCorpus(folder, { shards: 4 })).rejects.toMatchObject({
      code: 'HASS_ERR_CORPUS_MISSING',
      details: { found: 3, expected: 4 },
    })
  })

  it('notices a flipped bit anywhere in a shard, and names it', async () => {
    await writeTinyCorpus(folder, corpusTexts(3))
    for (const name of ['tokens-00000.safetensors', 'features-00000.safetensors']) {
      const bits = 8 * (await readFile(at(name))).length
      for (let i = 0; i < 25; i++) {
        const bit = Math.floor(((i * 0.618034) % 1) * bits)
        await flipBit(name, bit)
        const reading = openCorpus(folder).then((corpus) => corpus.readFeatures(0))
        await expect(reading).rejects.toMatchObject({ code: 'HASS_ERR_CORPUS_CORRUPT', details: { file: name } })
        await flipBit(name, bit)
      }
    }
    await (await openCorpus(folder)).readFeatures(2)
  })

  it('notices files that are cut or missing', async () => {
    await writeTinyCorpus(folder, corpusTexts(3))
    for (const name of ['tokens-00000.safetensors', 'features-00000.safetensors']) {
      const whole = await readFile(at(name))
      for (const length of [0, 7, whole.length >> 1, whole.length - 1]) {
        await truncate(at(name), length)
        const reading = openCorpus(folder).then((corpus) => corpus.readFeatures(0))
        await expect(reading).rejects.toMatchObject({ code: 'HASS_ERR_CORPUS_CORRUPT', details: { file: name } })
        await writeFile(at(name), whole)
      }
      await rm(at(name))
      const reading = openCorpus(folder).then((corpus) => corpus.readFeatures(0))
      await expect(reading).rejects.toThrow(`${name} of the corpus cannot be found`)
      await writeFile(at(name), whole)
    }
  })

  it.each([
    ['', /is no JSON/],
    ['[]', /is not that of a corpus/],
    [{ format: 'other' }, /is not that of a corpus/],
    [{ version: 2 }, /has version 2, expected 1/],
    [{ target: { sha256: 'x' } }, /which target/],
    [{ features: 'F8' }, /how features are kept/],
    [{ promptsSha256: undefined }, /what it was made of/],
    [{ shards: {} }, /no list of shards/],
    [{ shards: [{ sequences: 1 }] }, /malformed shard 0/],
  ])('refuses the manifest %j', async (change, message) => {
    await writeTinyCorpus(folder, corpusTexts(1))
    const manifest = JSON.parse(await readFile(at('manifest.json'), 'utf8'))
    await writeFile(
      at('manifest.json'),
      typeof change === 'string' ? change : JSON.stringify({ ...manifest, ...change }),
    )
    const error = await openCorpus(folder).catch((refused) => refused)
    expect(error).toMatchObject({ code: 'HASS_ERR_CORPUS_CORRUPT' })
    expect(error.message).toMatch(message)
  })

  it('reads no file outside the folder', async () => {
    await writeTinyCorpus(folder, corpusTexts(1))
    const text = await readFile(at('manifest.json'), 'utf8')
    await writeFile(at('manifest.json'), text.replace('tokens-00000.safetensors', '../tokens-00000.safetensors'))
    await expect(openCorpus(folder)).rejects.toThrow('malformed shard 0')
  })

  it('says so where there is no corpus, or no such sequence', async () => {
    await expect(openCorpus(folder)).rejects.toMatchObject({ code: 'HASS_ERR_CORPUS_MISSING' })
    await expect(openCorpus(at('nowhere'))).rejects.toMatchObject({ code: 'HASS_ERR_CORPUS_MISSING' })
    await writeTinyCorpus(folder, corpusTexts(1))
    await expect((await openCorpus(folder)).readFeatures(1)).rejects.toMatchObject({
      code: 'HASS_ERR_INVALID_ARGUMENT',
    })
  })
})
