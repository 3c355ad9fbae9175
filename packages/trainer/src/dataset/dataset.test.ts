import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createNoiseField, noiseStreams } from '@hass-engine/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Corpus, openCorpus } from '../corpus/open-corpus.js'
import type { FeaturedSequence } from '../corpus/sequence.js'
import { corpusTexts, tinySizes, writeTinyCorpus } from '../testing/tiny-corpus.js'
import { createDataset, type DataCursor, type Dataset, type DatasetBatch } from './dataset.js'
import { splitOf } from './split.js'

const { hiddenSize } = tinySizes
let folder: string
let sequences: FeaturedSequence[]
let corpus: Corpus
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-dataset-'))
  sequences = corpusTexts(60)
  await writeTinyCorpus(folder, sequences, { promptsPerShard: 16 })
  corpus = await openCorpus(folder)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const options = { seed: 3, noise: 0, heldOutShare: 0, maxRows: 64, maxSequences: 8 }

async function epochOf(dataset: Dataset, epoch: number): Promise<DatasetBatch[]> {
  const batches: DatasetBatch[] = []
  for (let cursor: DataCursor = { epoch, batch: 0 }; cursor.epoch === epoch; cursor = dataset.next(cursor)) {
    batches.push(await dataset.readBatch(cursor))
  }
  return batches
}

const order = (batches: readonly DatasetBatch[]) => batches.flatMap(({ corpusSequences }) => [...corpusSequences])

describe('createDataset', () => {
  it('pairs each feature with the next token, and counts rows that predict a response token', async () => {
    const dataset = createDataset({ ...options, corpus })
    for (const batch of await epochOf(dataset, 0)) {
      for (const [b, index] of batch.corpusSequences.entries()) {
        const { tokens, responseMask } = sequences[index]!
        const features = await corpus.readFeatures(index)
        for (let t = 0; t < batch.positions; t++) {
          const row = b * batch.positions + t
          const isPadding = t >= tokens.length - 1
          expect(batch.tokens[row]).toBe(isPadding ? 0 : tokens[t + 1])
          // Row t predicts the distribution of token t + 2, from the features up to t.
          expect(batch.lossMask[row]).toBe(t + 2 < tokens.length ? responseMask[t + 2] : 0)
          const feature = batch.features.subarray(row * hiddenSize, (row + 1) * hiddenSize)
          expect([...feature]).toEqual(
            isPadding ? [0, 0, 0, 0] : [...features.subarray(t * hiddenSize, (t + 1) * hiddenSize)],
          )
          // What counts has a next feature in the same sequence.
          if (batch.lossMask[row]) expect(t + 1).toBeLessThan(tokens.length - 1)
        }
      }
      expect(batch.rows).toBe(order([batch]).reduce((sum, index) => sum + sequences[index]!.tokens.length - 1, 0))
      expect(batch.maskedRows).toBe(batch.lossMask.filter((counts) => counts === 1).length)
      expect(batch.inputFeatures).toBeUndefined()
    }
  })

  it('counts the rows of prompts as well if it is told to', async () => {
    const dataset = createDataset({ ...options, corpus, countsPrompts: true })
    for (const batch of await epochOf(dataset, 0)) {
      for (const [b, index] of batch.corpusSequences.entries()) {
        const { length } = sequences[index]!.tokens
        const mask = batch.lossMask.subarray(b * batch.positions, (b + 1) * batch.positions)
        expect([...mask]).toEqual(Array.from(mask, (_, t) => (t + 2 < length ? 1 : 0)))
      }
    }
  })

  it('reads every sequence once an epoch, in an order of seed and epoch', async () => {
    const dataset = createDataset({ ...options, corpus })
    const first = order(await epochOf(dataset, 0))
    expect([...first].sort((a, b) => a - b)).toEqual(sequences.map((_, i) => i))
    const second = order(await epochOf(dataset, 1))
    expect(second).not.toEqual(first)
    expect([...second].sort((a, b) => a - b)).toEqual(sequences.map((_, i) => i))
    expect(order(await epochOf(createDataset({ ...options, corpus }), 0))).toEqual(first)
    expect(order(await epochOf(createDataset({ ...options, corpus, seed: 4 }), 0))).not.toEqual(first)
  })

  it('goes on from a cursor with the very same batches', async () => {
    const noisy = { ...options, corpus, noise: 0.1 }
    const whole = createDataset(noisy)
    let cursor: DataCursor = { epoch: 0, batch: 0 }
    for (let step = 0; step < 3 * whole.numBatches(0); step++) {
      const resumed = createDataset(noisy)
      expect(await resumed.readBatch(JSON.parse(JSON.stringify(cursor)))).toEqual(await whole.readBatch(cursor))
      cursor = whole.next(cursor)
    }
    expect(cursor.epoch).toBeGreaterThan(1)
  })

  it('keeps to its limits, and pads little', async () => {
    const batches = await epochOf(createDataset({ ...options, corpus }), 0)
    for (const { sequences: count, positions } of batches) {
      expect(count).toBeLessThanOrEqual(8)
      expect(count * positions).toBeLessThanOrEqual(64)
    }
    const cells = batches.reduce((sum, batch) => sum + batch.sequences * batch.positions, 0)
    const rows = batches.reduce((sum, batch) => sum + batch.rows, 0)
    expect(1 - rows / cells).toBeLessThan(0.1)
    const long = await epochOf(createDataset({ ...options, corpus, maxRows: 5 }), 0)
    expect(long.every(({ sequences: count }) => count === 1)).toBe(true)
  })

  it('adds noise to inputs alone, as much as the length allows, and other noise in every epoch', async () => {
    const dataset = createDataset({ ...options, corpus, noise: 0.1 })
    const values: number[] = []
    for (const { corpusSequences, positions, features, inputFeatures } of await epochOf(dataset, 0)) {
      for (const [b, index] of corpusSequences.entries()) {
        const rows = sequences[index]!.tokens.length - 1
        const width = (0.1 * 512) / rows
        for (let k = 0; k < positions * hiddenSize; k++) {
          const at = b * positions * hiddenSize + k
          const noise = inputFeatures![at]! - features[at]!
          if (k < rows * hiddenSize) values.push(noise / width)
          else expect(noise).toBe(0)
        }
      }
    }
    expect(Math.max(...values)).toBeLessThanOrEqual(1 + 1e-5)
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-1 - 1e-5)
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length
    const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length
    // Uniform on ±1: variance 1/3; five standard errors of either.
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(3 * values.length))
    expect(Math.abs(variance - 1 / 3)).toBeLessThan((5 * Math.sqrt(4 / 45)) / Math.sqrt(values.length))
    const [batch] = await epochOf(dataset, 0)
    const index = batch!.corpusSequences[0]!
    const drawn = createNoiseField(options.seed).uniform(index, 2, noiseStreams.training) - 0.5
    const width = (2 * 0.1 * 512) / (sequences[index]!.tokens.length - 1)
    expect(batch!.inputFeatures![2]! - batch!.features[2]!).toBeCloseTo(drawn * width, 4)
    const later = (await epochOf(dataset, 1)).find(({ corpusSequences }) => corpusSequences.includes(index))!
    const b = later.corpusSequences.indexOf(index)
    const at = b * later.positions * hiddenSize + 2
    expect(later.inputFeatures![at]! - later.features[at]!).not.toBeCloseTo(drawn * width, 4)
  })

  it('holds prompts out by their ids alone', async () => {
    const share = 0.3
    const train = createDataset({ ...options, corpus, heldOutShare: share })
    const heldOut = createDataset({ ...options, corpus, heldOutShare: share, split: 'held-out' })
    expect([...train.corpusSequences, ...heldOut.corpusSequences].sort((a, b) => a - b)).toEqual(
      sequences.map((_, i) => i),
    )
    expect(heldOut.size).toBeGreaterThan(5)
    for (const index of heldOut.corpusSequences) expect(splitOf(sequences[index]!.id, share)).toBe('held-out')
    const many = Array.from({ length: 4000 }, (_, i) => splitOf(`id-${i}`, share))
    expect(Math.abs(many.filter((split) => split === 'held-out').length / 4000 - share)).toBeLessThan(0.04)
  })

  it('takes the domains that are asked for, and cuts long contexts and long sequences', async () => {
    const domains = createDataset({ ...options, corpus, domains: ['b'] })
    expect([...domains.corpusSequences].every((index) => sequences[index]!.domain === 'b')).toBe(true)
    const cut = createDataset({ ...options, corpus, contextRows: 1, maxLength: 6 })
    for (const batch of await epochOf(cut, 0)) {
      for (const [b, index] of batch.corpusSequences.entries()) {
        const { tokens, promptTokens } = sequences[index]!
        const first = Math.max(0, promptTokens - 2 - 1)
        const rows = Math.min(6, tokens.length - 1 - first)
        const at = b * batch.positions
        expect([...batch.tokens.subarray(at, at + rows)]).toEqual([...tokens.subarray(first + 1, first + 1 + rows)])
        const mask = [...batch.lossMask.subarray(at, at + batch.positions)]
        const expected = mask.map((_, t) => Number(t < rows - 1 && first + t + 2 >= promptTokens))
        expect(mask).toEqual(expected)
      }
    }
  })

  it('counts token losses where the draft vocabulary has the token', async () => {
    const known = Uint32Array.from({ length: 20 }, (_, i) => 2 * i)
    for (const batch of await epochOf(createDataset({ ...options, corpus, draftVocabulary: known }), 0)) {
      for (const [b, index] of batch.corpusSequences.entries()) {
        for (let t = 0; t < batch.positions; t++) {
          const row = b * batch.positions + t
          const isKnown = batch.lossMask[row] === 1 && sequences[index]!.tokens[t + 2]! % 2 === 0
          expect(batch.tokenLossMask![row]).toBe(isKnown ? 1 : 0)
        }
      }
    }
  })

  it('refuses what cannot be meant', async () => {
    expect(() => createDataset({ ...options, corpus, domains: ['none'] })).toThrow(/none of which/)
    expect(() => createDataset({ ...options, corpus, noise: 2 })).toThrow(/noise/)
    expect(() => createDataset({ ...options, corpus, shuffle: true } as never)).toThrow(/no option "shuffle"/)
    const dataset = createDataset({ ...options, corpus })
    await expect(dataset.readBatch({ epoch: 0, batch: 1e6 })).rejects.toThrow(/has no batch/)
  })
})
