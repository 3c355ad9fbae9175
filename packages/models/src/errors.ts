import { HassError, type HassErrorDetails } from '@hass-engine/core'

/** `HASS_ERR_CACHE_FULL`: too few free slots for the rows of a step; nothing was taken, disposing sequences frees some. */
export class CacheFullError extends HassError {
  override readonly name = 'CacheFullError'
  constructor(wanted: number, free: number, capacity: number) {
    super(
      'HASS_ERR_CACHE_FULL',
      `The cache has ${free} free slots of ${capacity}, ${wanted} are needed: dispose of sequences, or create the model with more cacheTokens.`,
      { details: { wanted, free, capacity } },
    )
  }
}

/** `HASS_ERR_CONTEXT_LENGTH`: a row would stand beyond the longest sequence that the model was created for. */
export class ContextLengthError extends HassError {
  override readonly name = 'ContextLengthError'
  constructor(length: number, maxLength: number) {
    super(
      'HASS_ERR_CONTEXT_LENGTH',
      `The step would make the sequence ${length} tokens long, expected at most ${maxLength}: shorten the prompt or the tree.`,
      { details: { length, maxLength } },
    )
  }
}

/** `HASS_ERR_MODEL_UNSUPPORTED`: an architecture that is known but not computed here. */
export class ModelUnsupportedError extends HassError {
  override readonly name = 'ModelUnsupportedError'
  constructor(message: string, details: HassErrorDetails) {
    super('HASS_ERR_MODEL_UNSUPPORTED', message, { details })
  }
}
