import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { basename } from 'node:path'
import { checkOptionKeys, InvalidArgumentError } from '@hass-engine/core'
import type { FileSystem } from '@hass-engine/weights'
import { type FolderLock, lockFolder } from '../folder-lock.js'
import { CorpusError } from './errors.js'
import { type CorpusManifest, type FeatureStorage, readManifest, writeManifest } from './manifest.js'
import type { FeaturedSequence } from './sequence.js'
import type { TargetIdentity } from './target-identity.js'
import { writeShard } from './write-shard.js'

export interface CorpusWriterOptions {
  readonly folder: string
  readonly target: TargetIdentity
  readonly features: FeatureStorage
  /** The list that the corpus is made of, in order. */
  readonly prompts: readonly { readonly id: string }[]
  /** Prompts that one shard takes of the list. */
  readonly promptsPerShard: number
  /** What decides the texts besides: plain data. */
  readonly settings: Readonly<Record<string, unknown>>
  /** Stands in for `node:fs/promises`. Defaults to that. */
  readonly fileSystem?: FileSystem
}

const optionKeys = ['folder', 'target', 'features', 'prompts', 'promptsPerShard', 'settings', 'fileSystem']

/**
 * Begins a corpus, or goes on with one, and keeps everybody else from writing into its folder until it is closed.
 *
 * @throws CorpusError `HASS_ERR_CORPUS_LOCKED`; `HASS_ERR_CORPUS_MISMATCH` with the differences if the corpus there
 * was begun otherwise; `HASS_ERR_CORPUS_CORRUPT`
 */
export async function openCorpusWriter(options: CorpusWriterOptions): Promise<CorpusWriter> {
  checkOptionKeys(options, optionKeys, 'openCorpusWriter')
  const { folder } = options
  await mkdir(folder, { recursive: true })
  const lock = await lockFolder(
    folder,
    ({ pid, host }) =>
      new CorpusError(
        'HASS_ERR_CORPUS_LOCKED',
        `${basename(folder)} is being written by process ${pid} on ${host}: wait until it has ended, or choose another folder.`,
        { folder, pid, host },
      ),
  )
  try {
    const fresh = emptyManifest(options)
    const found = await readManifest(folder)
    if (found) checkSameCorpus(found, fresh, basename(folder))
    else await writeManifest(folder, fresh, options.fileSystem)
    return new CorpusWriter(options, found ?? fresh, lock)
  } catch (error) {
    await lock.release()
    throw error
  }
}

/** Appends shards to a corpus, in order. */
export class CorpusWriter implements AsyncDisposable {
  readonly #options: CorpusWriterOptions
  readonly #lock: FolderLock
  #manifest: CorpusManifest

  /** @internal Use `openCorpusWriter`. */
  constructor(options: CorpusWriterOptions, manifest: CorpusManifest, lock: FolderLock) {
    this.#options = options
    this.#manifest = manifest
    this.#lock = lock
  }

  get manifest(): CorpusManifest {
    return this.#manifest
  }

  /** The next shard's prompts, as places in the list; empty when the corpus is complete. */
  get nextPrompts(): { readonly from: number; readonly to: number } {
    const { prompts, promptsPerShard, shards } = this.#manifest
    const from = Math.min(prompts, shards.length * promptsPerShard)
    return { from, to: Math.min(prompts, from + promptsPerShard) }
  }

  get isComplete(): boolean {
    return this.nextPrompts.from === this.#manifest.prompts
  }

  /**
   * Writes the next shard: what became of its prompts, in their order; those without a sequence were too long. The
   * manifest is renamed after the shard's files are on disk, so that it never lists less than whole ones.
   *
   * @throws WeightsError `HASS_ERR_NO_SPACE`, `HASS_ERR_FILE_WRITE`; the corpus is as it was before
   */
  async append(sequences: readonly FeaturedSequence[]): Promise<void> {
    const { folder, target, features, fileSystem } = this.#options
    const { from, to } = this.nextPrompts
    if (sequences.length > to - from) {
      throw new InvalidArgumentError(`A shard of ${to - from} prompts was given ${sequences.length} sequences.`, {
        prompts: to - from,
        sequences: sequences.length,
      })
    }
    const shard = await writeShard({
      folder,
      index: this.#manifest.shards.length,
      sequences,
      skipped: to - from - sequences.length,
      features,
      hiddenSize: target.hiddenSize,
      vocabSize: target.vocabSize,
      ...(fileSystem && { fileSystem }),
    })
    const grown = { ...this.#manifest, shards: [...this.#manifest.shards, shard] }
    await writeManifest(folder, grown, fileSystem)
    this.#manifest = grown
  }

  async close(): Promise<void> {
    await this.#lock.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function emptyManifest(options: CorpusWriterOptions): CorpusManifest {
  const { target, features, prompts, promptsPerShard, settings } = options
  return {
    format: 'hass-corpus',
    version: 1,
    target,
    features,
    prompts: prompts.length,
    promptsPerShard,
    promptsSha256: createHash('sha256').update(JSON.stringify(prompts)).digest('hex'),
    // As it will be read again: what JSON leaves out is no difference.
    settings: JSON.parse(JSON.stringify(settings)),
    shards: [],
  }
}

/** Everything but the shards must be equal. */
function checkSameCorpus(found: CorpusManifest, wanted: CorpusManifest, name: string): void {
  const flat = ({ shards, settings, target, ...others }: CorpusManifest) => ({ ...others, ...target, ...settings })
  const [a, b] = [flat(found), flat(wanted)] as [Record<string, unknown>, Record<string, unknown>]
  const differences = [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .map((key) => ({ key, found: JSON.stringify(a[key]), wanted: JSON.stringify(b[key]) }))
    .filter((one) => one.found !== one.wanted)
  if (differences.length === 0) return
  const shown = differences.map(({ key, found: is, wanted: asked }) => `${key} is ${is}, asked for ${asked}`)
  throw new CorpusError(
    'HASS_ERR_CORPUS_MISMATCH',
    `${name} holds a corpus that was begun otherwise: ${shown.join('; ')}. Use the same prompts, target and settings, or another folder.`,
    { differences },
  )
}
