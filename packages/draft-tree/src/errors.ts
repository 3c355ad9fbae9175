import { HassError, type HassErrorDetails } from '@hass-engine/core'

/** `HASS_ERR_TREE_SHAPE`: the shape given to a static tree is no tree. */
export class TreeShapeError extends HassError {
  override readonly name = 'TreeShapeError'
  constructor(message: string, details: HassErrorDetails) {
    super('HASS_ERR_TREE_SHAPE', message, { details })
  }
}

/** `HASS_ERR_COST_CURVE`: a cost table is missing, or is no curve of milliseconds over ascending row counts. */
export class CostCurveError extends HassError {
  override readonly name = 'CostCurveError'
  constructor(message: string, details: HassErrorDetails) {
    super('HASS_ERR_COST_CURVE', message, { details })
  }
}

/** `HASS_ERR_TREE_MISMATCH`: trees that shall be united do not stand on the same root token. */
export class TreeMismatchError extends HassError {
  override readonly name = 'TreeMismatchError'
  constructor(message: string, details: HassErrorDetails) {
    super('HASS_ERR_TREE_MISMATCH', message, { details })
  }
}
