/** Codes are permanent: once published, a code keeps its meaning. */
export type HassErrorCode = `HASS_ERR_${string}`

/** What was found, what was expected: whatever a program would want to read from the failure. */
export type HassErrorDetails = Readonly<Record<string, unknown>>

const brand = Symbol.for('hass-engine.error')

/**
 * The one base class of every error that HASS engine packages throw on purpose.
 *
 * `message` says what happened, what was found and expected, and what to do; `code` is for programs;
 * `details` holds the numbers and names of the message.
 */
export class HassError extends Error {
  override readonly name: string = 'HassError'
  readonly code: HassErrorCode
  readonly details: HassErrorDetails
  readonly [brand] = true

  constructor(code: HassErrorCode, message: string, options: { cause?: unknown; details?: HassErrorDetails } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }

  /** True for a `HassError` of any copy of this package: `instanceof` fails when two versions are installed. */
  static isInstance(error: unknown): error is HassError {
    return typeof error === 'object' && error !== null && brand in error
  }
}

/** `HASS_ERR_INVALID_ARGUMENT`: a value that a caller passed is of the wrong type, shape or range. */
export class InvalidArgumentError extends HassError {
  override readonly name = 'InvalidArgumentError'
  constructor(message: string, details?: HassErrorDetails) {
    super('HASS_ERR_INVALID_ARGUMENT', message, details ? { details } : {})
  }
}

/** `HASS_ERR_DISPOSED`: an object was used after its `dispose()`. */
export class DisposedError extends HassError {
  override readonly name = 'DisposedError'
  constructor(what: string) {
    super('HASS_ERR_DISPOSED', `${what} was used after it had been disposed; create a new one.`, { details: { what } })
  }
}
