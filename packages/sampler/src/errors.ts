import { HassError } from '@hass-engine/core'

/**
 * `HASS_ERR_BAD_LOGITS`: a row of target logits holds NaN. The model or its weights are broken, and no choice from
 * such a row would mean anything.
 */
export class BadLogitsError extends HassError {
  override readonly name = 'BadLogitsError'
  constructor(token: number, source: string) {
    super(
      'HASS_ERR_BAD_LOGITS',
      `The logit of token ${token} is NaN after ${source}; expected numbers or infinities. Check the weights and the kernel or processor that wrote it.`,
      { details: { token, source } },
    )
  }
}

/** `HASS_ERR_NO_TOKEN_LEFT`: every token of a row has probability zero, so none can be chosen. */
export class NoTokenLeftError extends HassError {
  override readonly name = 'NoTokenLeftError'
  constructor(source: string) {
    super(
      'HASS_ERR_NO_TOKEN_LEFT',
      `No token is left after ${source}; expected at least one with a probability above zero. Loosen the mask or the banned tokens.`,
      { details: { source } },
    )
  }
}
