import { createHash } from 'node:crypto'
import { TrainingError } from '../run/errors.js'

/** Where a run stands between two steps. With parameters and moments, it decides everything that follows. */
export interface RunPosition {
  /** Optimizer steps made by the whole run. */
  readonly step: number
  readonly phase: number
  /** Optimizer steps made in the phase. */
  readonly phaseStep: number
  /** The next batch. */
  readonly epoch: number
  readonly batch: number
}

/** What the run had come to that decides nothing of what follows. */
export interface RunHistory {
  /** Of all sittings. */
  readonly elapsedMs: number
  /** Bytes of the log when the checkpoint was saved. */
  readonly logBytes: number
  /** The highest acceptance length so far; absent before the first evaluation. */
  readonly best?: { readonly step: number; readonly acceptanceLength: number }
}

/** What must be the same when a run goes on. */
export interface RunIdentity {
  /** Settings as JSON. */
  readonly settings: unknown
  /** SHA-256 of the data. */
  readonly data: string
}

export interface CheckpointPart {
  readonly name: string
  readonly bytes: number
  /** Hexadecimal. */
  readonly sha256: string
}

/** `manifest.json` of a checkpoint. */
export interface CheckpointManifest {
  readonly format: 'hass-checkpoint'
  readonly version: 1
  /** Steps of the optimizer's own count, which each phase begins anew. */
  readonly optimizerStep: number
  readonly position: RunPosition
  readonly identity: RunIdentity
  readonly history: RunHistory
  readonly parts: readonly CheckpointPart[]
}

export const manifestName = 'manifest.json'
export const partNames = ['parameters', 'first-moments', 'second-moments'] as const
export type PartName = (typeof partNames)[number]

/** Names sort as steps do. */
export function checkpointName(step: number): string {
  return `step-${String(step).padStart(9, '0')}`
}

export function isCheckpointName(name: string): boolean {
  return /^step-\d{9}$/.test(name)
}

/** The manifest and its own SHA-256, without which a flipped bit could move the cursor. */
export function encodeManifest(manifest: CheckpointManifest): Uint8Array {
  return Buffer.from(`${JSON.stringify({ sha256: hashOf(manifest), manifest }, null, 1)}\n`)
}

/**
 * @param checkpoint its name, for messages
 * @throws TrainingError `HASS_ERR_CHECKPOINT_CORRUPT`
 */
export function decodeManifest(bytes: Uint8Array, checkpoint: string): CheckpointManifest {
  const file = parse(bytes)
  const manifest = file?.manifest
  // Before the hash: a later version may hash otherwise.
  if (manifest?.format === 'hass-checkpoint' && Number.isInteger(manifest.version) && manifest.version > 1) {
    throw corrupt(checkpoint, manifestName, `is of version ${manifest.version}, this package reads version 1`)
  }
  if (!manifest || file?.sha256 !== hashOf(manifest)) {
    throw corrupt(checkpoint, manifestName, 'does not have the checksum stored in it')
  }
  if (manifest.format !== 'hass-checkpoint' || manifest.version !== 1) {
    throw corrupt(checkpoint, manifestName, 'is not that of a checkpoint')
  }
  return manifest
}

export function corrupt(checkpoint: string, part: string, what: string, cause?: unknown): TrainingError {
  return new TrainingError(
    'HASS_ERR_CHECKPOINT_CORRUPT',
    `${part} of the checkpoint ${checkpoint} ${what}: resume from an earlier one.`,
    { checkpoint, part },
    cause,
  )
}

function parse(bytes: Uint8Array): { sha256?: unknown; manifest?: CheckpointManifest } | undefined {
  try {
    const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return typeof value === 'object' && value !== null && typeof value.manifest === 'object' ? value : undefined
  } catch {
    return undefined
  }
}

function hashOf(manifest: unknown): string {
  return createHash('sha256').update(JSON.stringify(manifest)).digest('hex')
}
