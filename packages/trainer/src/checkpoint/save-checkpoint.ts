import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { HassError } from '@hass-engine/core'
import { type WritableTensor, writeAtomically, writeSafetensors } from '@hass-engine/weights'
import type { TrainerState } from '../head-trainer.js'
import { TrainingError } from '../run/errors.js'
import { type CheckpointFileSystem, defaultFileSystem } from './file-system.js'
import {
  type CheckpointPart,
  checkpointName,
  encodeManifest,
  isCheckpointName,
  manifestName,
  type PartName,
  partNames,
  type RunHistory,
  type RunIdentity,
  type RunPosition,
} from './manifest.js'

export interface CheckpointContent {
  readonly state: TrainerState
  readonly position: RunPosition
  readonly identity: RunIdentity
  readonly history: RunHistory
}

export interface SaveCheckpointOptions {
  /** Newest checkpoints that stay. Defaults to 3. */
  readonly keep?: number
  /** Stands in for `node:fs/promises`. Defaults to that. */
  readonly fileSystem?: CheckpointFileSystem
}

/**
 * Saves a checkpoint so that a process killed at any instant leaves it whole or leaves none.
 *
 * Parts and manifest are written and synced in a temporary folder, which then is synced, renamed, and its parent
 * synced; then `latest` names it, and the oldest checkpoints beyond `keep` go.
 *
 * @param folder of the checkpoints
 * @returns its name
 * @throws TrainingError `HASS_ERR_CHECKPOINT_WRITE`; earlier checkpoints are intact
 */
export async function saveCheckpoint(
  folder: string,
  content: CheckpointContent,
  { keep = 3, fileSystem = defaultFileSystem }: SaveCheckpointOptions = {},
): Promise<string> {
  const name = checkpointName(content.position.step)
  const temporary = join(folder, temporaryName(name))
  try {
    await fileSystem.mkdir(temporary, { recursive: true })
    await writeParts(temporary, content, fileSystem)
    await replaceFolder(temporary, join(folder, name), fileSystem)
    await writeText(join(folder, 'latest'), `${name}\n`, fileSystem)
  } catch (error) {
    // The failure that matters is the first one.
    await fileSystem.rm(temporary, { recursive: true, force: true }).catch(() => {})
    throw describeFailure(error, name)
  }
  // A folder that cannot be removed costs space and nothing else.
  await removeOldest(folder, keep, fileSystem).catch(() => {})
  return name
}

/** Removes what saves that were cut short have left. For the process that holds the run's lock. */
export async function removeTemporaries(folder: string, fileSystem = defaultFileSystem): Promise<void> {
  for (const name of await fileSystem.readdir(folder)) {
    if (name.endsWith('.tmp')) await fileSystem.rm(join(folder, name), { recursive: true, force: true })
  }
}

async function writeParts(
  folder: string,
  { state, position, identity, history }: CheckpointContent,
  fileSystem: CheckpointFileSystem,
): Promise<void> {
  const parts: CheckpointPart[] = []
  for (const name of partNames) {
    const path = join(folder, `${name}.safetensors`)
    const metadata = { format: 'pt', step: String(position.step) }
    await writeSafetensors(path, tensorsOf(state, name), { metadata, fileSystem })
    // What was written is read again: a disk that took other bytes is found out now.
    const bytes = await readFile(path)
    parts.push({ name: basename(path), bytes: bytes.byteLength, sha256: sha256(bytes) })
  }
  const manifest = encodeManifest({
    format: 'hass-checkpoint',
    version: 1,
    optimizerStep: state.step,
    position,
    identity,
    history,
    parts,
  })
  await writeAtomically([{ path: join(folder, manifestName), write: (append) => append(manifest) }], fileSystem)
}

/** Puts a finished folder in its place. One that is there already is of the same step, from a save that failed late. */
async function replaceFolder(from: string, to: string, fileSystem: CheckpointFileSystem): Promise<void> {
  const folder = dirname(to)
  if ((await fileSystem.readdir(folder)).includes(basename(to))) {
    const old = join(folder, temporaryName(basename(to)))
    await fileSystem.rename(to, old)
    await fileSystem.rename(from, to)
    await fileSystem.rm(old, { recursive: true, force: true })
  } else {
    await fileSystem.rename(from, to)
  }
  await syncFolder(folder, fileSystem)
}

async function removeOldest(folder: string, keep: number, fileSystem: CheckpointFileSystem): Promise<void> {
  const names = (await fileSystem.readdir(folder)).filter(isCheckpointName).sort()
  for (const name of names.slice(0, -keep)) {
    // Renamed first: half a checkpoint must not look like one.
    const doomed = join(folder, temporaryName(name))
    await fileSystem.rename(join(folder, name), doomed)
    await fileSystem.rm(doomed, { recursive: true, force: true })
  }
}

async function writeText(path: string, text: string, fileSystem: CheckpointFileSystem): Promise<void> {
  const bytes = Buffer.from(text)
  await writeAtomically([{ path, write: (append) => append(bytes) }], fileSystem)
}

/** A rename is on disk once its folder is. */
async function syncFolder(folder: string, fileSystem: CheckpointFileSystem): Promise<void> {
  /* v8 ignore next -- Windows cannot open folders; there, a rename is journaled */
  if (process.platform === 'win32') return
  const handle = await fileSystem.open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function tensorsOf(state: TrainerState, name: PartName): WritableTensor[] {
  const values = {
    parameters: state.parameters,
    'first-moments': state.firstMoments,
    'second-moments': state.secondMoments,
  }
  return Array.from(values[name], ([tensor, data]) => ({
    name: tensor,
    dtype: 'F32',
    shape: [data.length],
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }))
}

function temporaryName(name: string): string {
  return `${name}.${randomBytes(6).toString('hex')}.tmp`
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function describeFailure(error: unknown, name: string): unknown {
  const isOfFiles = HassError.isInstance(error) || typeof (error as NodeJS.ErrnoException).code === 'string'
  if (!isOfFiles) return error
  const reason = HassError.isInstance(error)
    ? (error.details.code ?? error.code)
    : (error as NodeJS.ErrnoException).code
  return new TrainingError(
    'HASS_ERR_CHECKPOINT_WRITE',
    `The checkpoint ${name} could not be saved: ${reason}. Earlier checkpoints are intact; free some space or mend the disk.`,
    { checkpoint: name, reason },
    error,
  )
}
