import { HassError, type HassErrorDetails } from '@hass-engine/core'

/** `HASS_ERR_NON_FINITE`: a loss or a gradient became NaN or infinite. */
export class NonFiniteError extends HassError {
  override readonly name = 'NonFiniteError'
  constructor(message: string, details: HassErrorDetails = {}) {
    super('HASS_ERR_NON_FINITE', message, { details })
  }
}
