import { HassError, type HassErrorDetails } from '@hass-engine/core'

/**
 * Codes of corpora, besides those of `core` and `weights`. Codes are permanent.
 *
 * - `HASS_ERR_CORPUS_MISSING`: a folder holds no corpus, or none that is far enough
 * - `HASS_ERR_CORPUS_CORRUPT`: a manifest or a shard is damaged, cut, missing or of a future version
 * - `HASS_ERR_CORPUS_MISMATCH`: a corpus is of another target, or was begun with other prompts or settings
 * - `HASS_ERR_CORPUS_LOCKED`: another process writes into the folder
 * - `HASS_ERR_CORPUS_FEATURES`: a corpus without features was opened without a source that recomputes them
 * - `HASS_ERR_PROMPTS`: a file of prompts or dialogues is missing or malformed
 */
export type CorpusErrorCode =
  | 'HASS_ERR_CORPUS_MISSING'
  | 'HASS_ERR_CORPUS_CORRUPT'
  | 'HASS_ERR_CORPUS_MISMATCH'
  | 'HASS_ERR_CORPUS_LOCKED'
  | 'HASS_ERR_CORPUS_FEATURES'
  | 'HASS_ERR_PROMPTS'

/** An error of a corpus; see `CorpusErrorCode` for what each code means. */
export class CorpusError extends HassError {
  override readonly name = 'CorpusError'
  declare readonly code: CorpusErrorCode

  constructor(code: CorpusErrorCode, message: string, details?: HassErrorDetails, cause?: unknown) {
    super(code, message, { ...(details && { details }), ...(cause !== undefined && { cause }) })
  }
}
