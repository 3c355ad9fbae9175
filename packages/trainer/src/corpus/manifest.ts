import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type FileSystem, writeAtomically } from '@hass-engine/weights'
import { CorpusError } from './errors.js'
import type { TargetIdentity } from './target-identity.js'

/** How features are kept: `recompute` keeps none, they are computed when they are read. */
export type FeatureStorage = 'BF16' | 'F16' | 'recompute'

/** A file of a corpus, and what must be found in it. */
export interface CorpusFile {
  readonly name: string
  readonly bytes: number
  /** Hexadecimal. */
  readonly sha256: string
}

/** Prompts of the list that were turned into sequences together. */
export interface ShardEntry {
  readonly sequences: number
  /** Prompts and responses. */
  readonly tokens: number
  /** Tokens that count in the loss. */
  readonly responseTokens: number
  /** Prompts of the list that were left out, being too long. */
  readonly skipped: number
  readonly tokenFile: CorpusFile
  /** Absent where features are recomputed. */
  readonly featureFile?: CorpusFile
}

/** `manifest.json` of a corpus: complete shards and nothing else. */
export interface CorpusManifest {
  readonly format: 'hass-corpus'
  readonly version: 1
  readonly target: TargetIdentity
  readonly features: FeatureStorage
  /** Prompts of the whole list, and those that one shard takes of it. */
  readonly prompts: number
  readonly promptsPerShard: number
  /** SHA-256 of the list of prompts. */
  readonly promptsSha256: string
  /** What decided the texts besides; equal settings and prompts give equal bytes. */
  readonly settings: Readonly<Record<string, unknown>>
  /** In the order of the prompts; the list is complete once it covers them all. */
  readonly shards: readonly ShardEntry[]
}

const manifestName = 'manifest.json'

/** A manifest lists thousands of shards at most; this is far beyond. */
const maxManifestBytes = 64 * 2 ** 20

/**
 * Reads a manifest, if there is one.
 *
 * @throws CorpusError `HASS_ERR_CORPUS_CORRUPT`
 */
export async function readManifest(folder: string): Promise<CorpusManifest | undefined> {
  const bytes = await readFile(join(folder, manifestName)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw corrupt(`cannot be read (${error.code})`, error)
  })
  if (!bytes) return undefined
  if (bytes.byteLength > maxManifestBytes) throw corrupt(`has ${bytes.byteLength} bytes, expected far fewer`)
  let manifest: CorpusManifest
  try {
    manifest = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw corrupt('is no JSON', cause)
  }
  const complaint = complaintOf(manifest)
  if (complaint) throw corrupt(complaint)
  return manifest
}

export async function writeManifest(folder: string, manifest: CorpusManifest, fileSystem?: FileSystem): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify(manifest, null, 1)}\n`)
  await writeAtomically([{ path: join(folder, manifestName), write: (append) => append(bytes) }], fileSystem)
}

/** SHA-256 over what a corpus's first shards hold: equal hashes, equal data. */
export function hashShards(manifest: CorpusManifest, shards: readonly ShardEntry[]): string {
  const hash = createHash('sha256').update(`${manifest.target.sha256} ${manifest.features}\n`)
  for (const { tokenFile, featureFile } of shards) hash.update(`${tokenFile.sha256} ${featureFile?.sha256 ?? '-'}\n`)
  return hash.digest('hex')
}

function corrupt(what: string, cause?: unknown): CorpusError {
  return new CorpusError(
    'HASS_ERR_CORPUS_CORRUPT',
    `${manifestName} of the corpus ${what}: restore it, or create the corpus anew.`,
    { file: manifestName },
    cause,
  )
}

/** What is wrong with a parsed manifest; undefined if nothing is. */
function complaintOf(manifest: unknown): string | undefined {
  if (!isObject(manifest) || manifest.format !== 'hass-corpus') return 'is not that of a corpus'
  if (manifest.version !== 1) return `has version ${String(manifest.version).slice(0, 20)}, expected 1`
  const { target, features, shards, prompts, promptsPerShard, promptsSha256, settings } = manifest
  const isTarget =
    isObject(target) && isSha256(target.sha256) && isCount(target.hiddenSize) && isCount(target.vocabSize)
  if (!isTarget) return 'does not say which target it is of'
  if (!['BF16', 'F16', 'recompute'].includes(features as string)) return 'does not say how features are kept'
  if (!isCount(prompts) || !isCount(promptsPerShard) || !isSha256(promptsSha256) || !isObject(settings)) {
    return 'does not say what it was made of'
  }
  if (!Array.isArray(shards)) return 'has no list of shards'
  const bad = shards.findIndex((shard) => !isShard(shard, features as FeatureStorage))
  return bad === -1 ? undefined : `has a malformed shard ${bad}`
}

function isShard(shard: unknown, features: FeatureStorage): boolean {
  if (!isObject(shard)) return false
  const { sequences, tokens, responseTokens, skipped, tokenFile, featureFile } = shard
  const areCounts = [sequences, tokens, responseTokens, skipped].every(isCount)
  return areCounts && isFile(tokenFile) && (features === 'recompute' ? featureFile === undefined : isFile(featureFile))
}

function isFile(file: unknown): boolean {
  if (!isObject(file) || typeof file.name !== 'string') return false
  // Names are joined to the folder: one with a separator would reach outside of it.
  return (
    /^[a-z0-9-]+\.safetensors$/.test(file.name) &&
    basename(file.name) === file.name &&
    isCount(file.bytes) &&
    isSha256(file.sha256)
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isSha256(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)
}
