import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { floatToF16 } from '@hass-engine/core'
import { type FileSystem, type WritableTensor, writeSafetensors } from '@hass-engine/weights'
import type { CorpusFile, FeatureStorage, ShardEntry } from './manifest.js'
import { type FeaturedSequence, featureRows, type SequenceRecord } from './sequence.js'

export interface WriteShardOptions {
  readonly folder: string
  /** Number of the shard, which names its files. */
  readonly index: number
  readonly sequences: readonly FeaturedSequence[]
  /** Prompts that were left out. */
  readonly skipped: number
  readonly features: FeatureStorage
  readonly hiddenSize: number
  readonly vocabSize: number
  readonly fileSystem?: FileSystem
}

/**
 * Writes the files of one shard, each atomically. Equal sequences give equal bytes.
 *
 * `tokens-N.safetensors` holds `tokens` `[tokens]` (U16 where every id of the vocabulary fits, else U32), `lengths`
 * `[sequences] U32` and `response_mask` `[tokens] U8`, and the sequences' records as JSON in its metadata;
 * `features-N.safetensors` holds `features` `[rows, hiddenSize]`, length − 1 rows of each sequence.
 *
 * @throws WeightsError `HASS_ERR_NO_SPACE`, `HASS_ERR_FILE_WRITE`
 */
export async function writeShard(options: WriteShardOptions): Promise<ShardEntry> {
  const { folder, index, sequences, skipped, features, hiddenSize, vocabSize, fileSystem } = options
  const lengths = Uint32Array.from(sequences, ({ tokens }) => tokens.length)
  const tokens = joinArrays(sequences.map((sequence) => sequence.tokens))
  const mask = joinArrays(sequences.map(({ responseMask }) => responseMask))
  const isNarrow = vocabSize <= 2 ** 16
  const write = async (name: string, tensors: WritableTensor[], metadata: Record<string, string>) => {
    const path = join(folder, name)
    await writeSafetensors(path, tensors, { metadata, ...(fileSystem && { fileSystem }) })
    return describeFile(path)
  }
  const number = String(index).padStart(5, '0')
  const tokenFile = await write(
    `tokens-${number}.safetensors`,
    [
      {
        name: 'tokens',
        dtype: isNarrow ? 'U16' : 'U32',
        shape: [tokens.length],
        data: bytesOf(isNarrow ? Uint16Array.from(tokens) : Uint32Array.from(tokens)),
      },
      { name: 'lengths', dtype: 'U32', shape: [lengths.length], data: bytesOf(lengths) },
      { name: 'response_mask', dtype: 'U8', shape: [mask.length], data: Uint8Array.from(mask) },
    ],
    { records: JSON.stringify(sequences.map(recordOf)) },
  )
  const entry = {
    sequences: sequences.length,
    tokens: tokens.length,
    responseTokens: mask.reduce((sum, counts) => sum + counts, 0),
    skipped,
    tokenFile,
  }
  if (features === 'recompute') return entry
  const rows = sequences.reduce((sum, sequence) => sum + featureRows(sequence), 0)
  const data = () => narrowFeatures(sequences, rows * hiddenSize, features)
  const featureFile = await write(
    `features-${number}.safetensors`,
    [{ name: 'features', dtype: features, shape: [rows, hiddenSize], data }],
    {},
  )
  return { ...entry, featureFile }
}

/** A file as a manifest lists it. */
async function describeFile(path: string): Promise<CorpusFile> {
  return { name: basename(path), bytes: (await stat(path)).size, sha256: await hashFile(path) }
}

/** SHA-256 of a file, hexadecimal. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) hash.update(chunk)
  return hash.digest('hex')
}

function recordOf({ id, domain, promptTokens, temperature, seed }: SequenceRecord): SequenceRecord {
  return {
    id,
    domain,
    promptTokens,
    ...(temperature !== undefined && { temperature }),
    ...(seed !== undefined && { seed }),
  }
}

function joinArrays(arrays: readonly ArrayLike<number>[]): number[] {
  return arrays.flatMap((array) => Array.from(array))
}

function bytesOf(array: Uint16Array | Uint32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

function narrowFeatures(sequences: readonly FeaturedSequence[], elements: number, dtype: 'BF16' | 'F16'): Uint8Array {
  const narrowed = new Uint16Array(elements)
  let at = 0
  for (const { features } of sequences) {
    if (dtype === 'F16') for (const value of features) narrowed[at++] = floatToF16(value)
    else at = appendBf16(narrowed, at, features)
  }
  return bytesOf(narrowed)
}

/** Rounds to nearest, ties to even, as `floatToBf16` does, without its detours: a shard has millions of elements. */
function appendBf16(target: Uint16Array, from: number, values: Float32Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!
    const isNotANumber = (word & 0x7fffffff) > 0x7f800000
    target[from + i] = isNotANumber ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
  }
  return from + bits.length
}
