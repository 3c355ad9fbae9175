import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { HassError, toFloat32 } from '@hass-engine/core'
import { openFileSource, openSafetensors, type SafetensorsFile, type TensorSource } from '@hass-engine/weights'
import { CorpusError } from './errors.js'
import type { CorpusFile, ShardEntry } from './manifest.js'
import type { CorpusSequence, SequenceRecord } from './sequence.js'
import { hashFile } from './write-shard.js'

/** Reads a shard's sequences, checked against the manifest. */
export async function readShardSequences(
  folder: string,
  { tokenFile, sequences, tokens }: ShardEntry,
  vocabSize: number,
): Promise<CorpusSequence[]> {
  const { tensors, metadata } = await openChecked(folder, tokenFile)
  const ids = await readIntegers(tensors, 'tokens', tokenFile)
  const lengths = await readIntegers(tensors, 'lengths', tokenFile)
  const mask = await readIntegers(tensors, 'response_mask', tokenFile)
  const records: SequenceRecord[] = JSON.parse(metadata.get('records') ?? '[]')
  const total = lengths.reduce((sum, length) => sum + length, 0)
  const isAsListed =
    lengths.length === sequences && records.length === sequences && ids.length === tokens && mask.length === tokens
  if (!isAsListed || total !== tokens || ids.some((id) => id >= vocabSize)) {
    throw damaged(tokenFile, 'does not hold the sequences that the manifest lists')
  }
  let from = 0
  return records.map((record, i) => {
    const to = from + lengths[i]!
    const sequence = { ...record, tokens: ids.slice(from, to), responseMask: Uint8Array.from(mask.slice(from, to)) }
    from = to
    return sequence
  })
}

/** Features of one shard. Its file is hashed before the first row is believed. */
export class ShardFeatures {
  readonly #folder: string
  readonly #file: CorpusFile
  readonly #rows: number
  readonly #hiddenSize: number
  #opening: Promise<(firstRow: number, rows: number) => Promise<Float32Array>> | undefined

  constructor(folder: string, file: CorpusFile, rows: number, hiddenSize: number) {
    this.#folder = folder
    this.#file = file
    this.#rows = rows
    this.#hiddenSize = hiddenSize
  }

  /** `[rows, hiddenSize] float32` */
  async read(firstRow: number, rows: number): Promise<Float32Array> {
    this.#opening ??= this.#open()
    const read = await this.#opening
    return read(firstRow, rows)
  }

  async #open() {
    const { tensors } = await openChecked(this.#folder, this.#file)
    const tensor = tensors.get('features')
    const isFeatures =
      tensor && `${tensor.shape}` === `${[this.#rows, this.#hiddenSize]}` && ['F16', 'BF16'].includes(tensor.dtype)
    if (!isFeatures) throw damaged(this.#file, `does not hold ${this.#rows} features of size ${this.#hiddenSize}`)
    const source = await openFileSource(join(this.#folder, this.#file.name))
    const rowBytes = 2 * this.#hiddenSize
    return async (firstRow: number, rows: number) => {
      const bytes = new Uint8Array(rows * rowBytes)
      await source.readInto(bytes, tensor.offset + firstRow * rowBytes)
      return toFloat32(bytes, tensor.dtype as 'F16' | 'BF16')
    }
  }
}

async function openChecked(folder: string, file: CorpusFile): Promise<SafetensorsFile> {
  const path = join(folder, file.name)
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw damaged(file, `cannot be found (${error.code})`, error)
  })
  if (found.size !== file.bytes) throw damaged(file, `has ${found.size} bytes, expected ${file.bytes}`)
  const sha256 = await hashFile(path)
  if (sha256 !== file.sha256) throw damaged(file, `has the SHA-256 ${sha256}, expected ${file.sha256}`)
  try {
    return await openSafetensors(await openFileSource(path))
  } catch (error) {
    if (HassError.isInstance(error)) throw damaged(file, 'is no shard of a corpus', error)
    throw error
  }
}

async function readIntegers(
  tensors: ReadonlyMap<string, TensorSource>,
  name: string,
  file: CorpusFile,
): Promise<Uint32Array> {
  const tensor = tensors.get(name)
  const bytes = await tensor?.read()
  if (bytes && tensor?.dtype === 'U8') return Uint32Array.from(bytes)
  if (bytes && tensor?.dtype === 'U16') return Uint32Array.from(new Uint16Array(bytes.buffer, 0, bytes.length / 2))
  if (bytes && tensor?.dtype === 'U32') return new Uint32Array(bytes.buffer, 0, bytes.length / 4)
  throw damaged(file, `has no tensor ${name} of unsigned integers`)
}

function damaged(file: CorpusFile, what: string, cause?: unknown): CorpusError {
  return new CorpusError(
    'HASS_ERR_CORPUS_CORRUPT',
    `Shard ${file.name} of the corpus ${what}: restore it, or delete its entry and those behind it from manifest.json and create them again.`,
    { file: file.name },
    cause,
  )
}
