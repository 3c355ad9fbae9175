import { HassError, type HassErrorDetails } from '@hass-engine/core'

/**
 * Codes of training runs, besides those of `core` and `HASS_ERR_NON_FINITE`. Codes are permanent.
 *
 * - `HASS_ERR_CHECKPOINT_WRITE`: a checkpoint could not be saved; run and earlier checkpoints are intact
 * - `HASS_ERR_CHECKPOINT_CORRUPT`: a part of a checkpoint is damaged, cut, missing, of another step, or of a future version
 * - `HASS_ERR_CHECKPOINT_MISSING`: a folder to resume from holds no checkpoint
 * - `HASS_ERR_RUN_EXISTS`: a folder for a new run holds checkpoints of another one
 * - `HASS_ERR_RUN_LOCKED`: another process trains in the folder
 * - `HASS_ERR_RUN_MISMATCH`: a run was begun with other settings, another seed or other data
 * - `HASS_ERR_RECIPE`: a recipe is missing, malformed, or asks for what cannot be
 */
export type TrainingErrorCode =
  | 'HASS_ERR_CHECKPOINT_WRITE'
  | 'HASS_ERR_CHECKPOINT_CORRUPT'
  | 'HASS_ERR_CHECKPOINT_MISSING'
  | 'HASS_ERR_RUN_EXISTS'
  | 'HASS_ERR_RUN_LOCKED'
  | 'HASS_ERR_RUN_MISMATCH'
  | 'HASS_ERR_RECIPE'

/** An error of a training run; see `TrainingErrorCode` for what each code means. */
export class TrainingError extends HassError {
  override readonly name = 'TrainingError'
  declare readonly code: TrainingErrorCode

  constructor(code: TrainingErrorCode, message: string, details?: HassErrorDetails, cause?: unknown) {
    super(code, message, { ...(details && { details }), ...(cause !== undefined && { cause }) })
  }
}
