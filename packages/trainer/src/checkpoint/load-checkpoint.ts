import { createHash } from 'node:crypto'
import { readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createMemorySource, openSafetensors } from '@hass-engine/weights'
import type { TrainerState } from '../head-trainer.js'
import { TrainingError } from '../run/errors.js'
import {
  type CheckpointManifest,
  checkpointName,
  corrupt,
  decodeManifest,
  isCheckpointName,
  manifestName,
  type PartName,
  partNames,
} from './manifest.js'

/** A checkpoint as it was read, every part of it checked. */
export interface LoadedCheckpoint {
  readonly name: string
  readonly manifest: CheckpointManifest
  readonly state: TrainerState
}

/** What a resumption found: the newest whole checkpoint, and why newer ones were passed over. */
export interface FoundCheckpoint extends LoadedCheckpoint {
  readonly skipped: readonly TrainingError[]
}

/** Names of the checkpoints of a folder, whole or not, the newest first. */
export async function listCheckpoints(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.filter(isCheckpointName).sort().reverse()
}

/**
 * Loads the newest checkpoint of which every part has its checksum.
 *
 * @throws TrainingError `HASS_ERR_CHECKPOINT_MISSING` if there is none at all; `HASS_ERR_CHECKPOINT_CORRUPT`, naming
 * the part of the newest, if none is whole
 */
export async function findCheckpoint(folder: string): Promise<FoundCheckpoint> {
  const skipped: TrainingError[] = []
  for (const name of await listCheckpoints(folder)) {
    try {
      return { ...(await loadCheckpoint(folder, name)), skipped }
    } catch (error) {
      if (!(error instanceof TrainingError) || error.code !== 'HASS_ERR_CHECKPOINT_CORRUPT') throw error
      skipped.push(error)
    }
  }
  if (skipped.length > 0) throw skipped[0]
  throw new TrainingError(
    'HASS_ERR_CHECKPOINT_MISSING',
    `${folder} holds no checkpoint to resume from: start a new run, or name the folder of one.`,
    { folder },
  )
}

/**
 * Loads one checkpoint.
 *
 * @param folder of the checkpoints
 * @throws TrainingError `HASS_ERR_CHECKPOINT_CORRUPT`, naming the part
 */
export async function loadCheckpoint(folder: string, name: string): Promise<LoadedCheckpoint> {
  const path = join(folder, name)
  const manifest = decodeManifest(await readPart(path, name, manifestName), name)
  const tensors = new Map<PartName, ReadonlyMap<string, Float32Array>>()
  for (const name of partNames) tensors.set(name, await loadTensors(path, manifest, name))
  const state = {
    step: manifest.optimizerStep,
    parameters: tensors.get('parameters')!,
    firstMoments: tensors.get('first-moments')!,
    secondMoments: tensors.get('second-moments')!,
  }
  return { name, manifest, state }
}

/** Moves damaged checkpoints out of the way of those to come. For the process that holds the run's lock. */
export async function setAside(folder: string, names: Iterable<string>): Promise<void> {
  for (const name of names) {
    const place = join(folder, `${name}.corrupt`)
    await rm(place, { recursive: true, force: true })
    await rename(join(folder, name), place)
  }
}

async function loadTensors(
  path: string,
  { parts, position }: CheckpointManifest,
  part: PartName,
): Promise<ReadonlyMap<string, Float32Array>> {
  const checkpoint = checkpointName(position.step)
  const name = `${part}.safetensors`
  const listed = parts.find((entry) => entry.name === name)
  if (!listed) throw corrupt(checkpoint, name, 'is not listed in the manifest')
  const { bytes: expected, sha256 } = listed
  const bytes = await readPart(path, checkpoint, name)
  if (bytes.byteLength !== expected) {
    throw corrupt(checkpoint, name, `has ${bytes.byteLength} bytes, expected ${expected}`)
  }
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
    throw corrupt(checkpoint, name, 'does not have the SHA-256 of the manifest')
  }
  const { tensors } = await openSafetensors(createMemorySource(bytes, name))
  const read = new Map<string, Float32Array>()
  for (const [tensor, source] of tensors) read.set(tensor, await source.readFloat32())
  return read
}

async function readPart(path: string, checkpoint: string, name: string): Promise<Uint8Array> {
  try {
    return await readFile(join(path, name))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw corrupt(checkpoint, name, 'is missing', error)
    throw corrupt(checkpoint, name, `cannot be read (${code})`, error)
  }
}
