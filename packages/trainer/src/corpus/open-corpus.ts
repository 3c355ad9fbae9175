import { basename } from 'node:path'
import { checkNumber, checkOptionKeys, InvalidArgumentError } from '@hass-engine/core'
import { CorpusError } from './errors.js'
import type { FeatureSource } from './feature-source.js'
import { type CorpusManifest, hashShards, readManifest, type ShardEntry } from './manifest.js'
import { readShardSequences, ShardFeatures } from './read-shard.js'
import { type CorpusSequence, featureRows } from './sequence.js'
import type { TargetIdentity } from './target-identity.js'

export interface OpenCorpusOptions {
  /** The first shards to read: pins what is read of a corpus that still grows. Defaults to all there are. */
  readonly shards?: number
  /** The target that it must be of. Defaults to any. */
  readonly target?: TargetIdentity
  /** Recomputes features where the corpus keeps none. */
  readonly source?: FeatureSource
}

/**
 * Opens a corpus, complete or still growing. Tokens are read and checked now, a shard's features when they are first
 * asked for.
 *
 * @throws CorpusError `HASS_ERR_CORPUS_MISSING`, `HASS_ERR_CORPUS_CORRUPT` naming the file,
 * `HASS_ERR_CORPUS_MISMATCH` for another target, `HASS_ERR_CORPUS_FEATURES`
 */
export async function openCorpus(folder: string, options: OpenCorpusOptions = {}): Promise<Corpus> {
  checkOptionKeys(options, ['shards', 'target', 'source'], 'openCorpus')
  const { source, target = source?.identity } = options
  const manifest = await readManifest(folder)
  if (!manifest) {
    throw new CorpusError('HASS_ERR_CORPUS_MISSING', `${basename(folder)} holds no corpus: create one there first.`, {
      folder,
    })
  }
  if (target) checkTarget(manifest, target)
  if (manifest.features === 'recompute' && !source) {
    throw new CorpusError(
      'HASS_ERR_CORPUS_FEATURES',
      `The corpus ${basename(folder)} keeps no features: give a source that recomputes them.`,
      { folder },
    )
  }
  const wanted = options.shards ?? manifest.shards.length
  checkNumber(wanted, 'shards', { min: 0, isInteger: true })
  if (wanted > manifest.shards.length) {
    throw new CorpusError(
      'HASS_ERR_CORPUS_MISSING',
      `The corpus ${basename(folder)} has ${manifest.shards.length} shards, expected ${wanted}: let it grow first.`,
      { folder, found: manifest.shards.length, expected: wanted },
    )
  }
  const shards = manifest.shards.slice(0, wanted)
  const read = await Promise.all(shards.map((shard) => readShardSequences(folder, shard, manifest.target.vocabSize)))
  return new Corpus(folder, manifest, shards, read, source)
}

/** @throws CorpusError `HASS_ERR_CORPUS_MISMATCH` */
export function checkTarget(manifest: CorpusManifest, target: TargetIdentity): void {
  const found = manifest.target
  if (found.sha256 === target.sha256) return
  throw new CorpusError(
    'HASS_ERR_CORPUS_MISMATCH',
    `The corpus is of a target with the SHA-256 ${found.sha256} (hidden size ${found.hiddenSize}, vocabulary ${found.vocabSize}), expected ${target.sha256} (${target.hiddenSize}, ${target.vocabSize}): a head learns from its own target alone.`,
    { found, expected: target },
  )
}

/** Texts of a target and their features. Nothing has to be disposed. */
export class Corpus {
  readonly folder: string
  readonly manifest: CorpusManifest
  /** Those that were read. */
  readonly shards: readonly ShardEntry[]
  /** All sequences in the order of the prompts; a sequence's number is its place here. */
  readonly sequences: readonly CorpusSequence[]
  /** SHA-256 over everything that was read and its target, for runs that must resume with the same data. */
  readonly sha256: string
  readonly #source: FeatureSource | undefined
  readonly #features: readonly (ShardFeatures | undefined)[]
  /** By sequence: its shard, and its first row there. */
  readonly #places: readonly { readonly shard: number; readonly firstRow: number }[]

  /** @internal Use `openCorpus`. */
  constructor(
    folder: string,
    manifest: CorpusManifest,
    shards: readonly ShardEntry[],
    sequences: readonly (readonly CorpusSequence[])[],
    source: FeatureSource | undefined,
  ) {
    this.folder = folder
    this.manifest = manifest
    this.shards = shards
    this.sequences = sequences.flat()
    this.sha256 = hashShards(manifest, shards)
    this.#source = source
    const places: { shard: number; firstRow: number }[] = []
    this.#features = shards.map(({ featureFile }, shard) => {
      let rows = 0
      for (const sequence of sequences[shard]!) {
        places.push({ shard, firstRow: rows })
        rows += featureRows(sequence)
      }
      return featureFile && new ShardFeatures(folder, featureFile, rows, manifest.target.hiddenSize)
    })
    this.#places = places
  }

  get hiddenSize(): number {
    return this.manifest.target.hiddenSize
  }

  get vocabSize(): number {
    return this.manifest.target.vocabSize
  }

  /**
   * `[T - 1, hiddenSize] float32`, the features of every token of a sequence but the last.
   *
   * @param index number of the sequence
   * @throws CorpusError `HASS_ERR_CORPUS_CORRUPT`, naming the shard
   */
  async readFeatures(index: number, signal?: AbortSignal): Promise<Float32Array> {
    const sequence = this.sequences[index]
    const place = this.#places[index]
    if (!sequence || !place) {
      throw new InvalidArgumentError(`The corpus has no sequence ${index}, only ${this.sequences.length}.`, { index })
    }
    signal?.throwIfAborted()
    const features = this.#features[place.shard]
    if (features) return features.read(place.firstRow, featureRows(sequence))
    return this.#source!.readFeatures(sequence.tokens, signal)
  }
}
