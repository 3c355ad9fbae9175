import { DisposedError, HassError, type HassErrorDetails, InvalidArgumentError } from '@hass-engine/core'

/** `HASS_ERR_GRAPH`: an operation of a graph was given tensors that do not fit it. */
export class GraphError extends HassError {
  override readonly name = 'GraphError'
  constructor(message: string, details: HassErrorDetails = {}) {
    super('HASS_ERR_GRAPH', message, { details })
  }
}

/** `HASS_ERR_INVALID_PROGRAM`: the words of a program are malformed, or its bindings do not fit. */
export class InvalidProgramError extends HassError {
  override readonly name = 'InvalidProgramError'
  constructor(message: string, details: HassErrorDetails = {}, cause?: unknown) {
    super('HASS_ERR_INVALID_PROGRAM', message, { details, cause })
  }
}

/** `HASS_ERR_INVALID_INPUT`: a run refused an input's values: a token beyond the vocabulary, a slot written twice. */
export class InvalidInputError extends HassError {
  override readonly name = 'InvalidInputError'
  constructor(message: string, details: HassErrorDetails = {}, cause?: unknown) {
    super('HASS_ERR_INVALID_INPUT', message, { details, cause })
  }
}

/** `HASS_ERR_OUT_OF_MEMORY`: a device could not allocate; what existed before still works. */
export class OutOfMemoryError extends HassError {
  override readonly name = 'OutOfMemoryError'
  constructor(message: string, details: HassErrorDetails = {}, cause?: unknown) {
    super('HASS_ERR_OUT_OF_MEMORY', message, { details, cause })
  }
}

/** `HASS_ERR_TOO_LARGE`: sizes beyond what a backend addresses. */
export class TooLargeError extends HassError {
  override readonly name = 'TooLargeError'
  constructor(message: string, details: HassErrorDetails = {}, cause?: unknown) {
    super('HASS_ERR_TOO_LARGE', message, { details, cause })
  }
}

/** `HASS_ERR_UNSUPPORTED`: an instruction set, weight format or operation that this device does not have. */
export class UnsupportedError extends HassError {
  override readonly name = 'UnsupportedError'
  constructor(message: string, details: HassErrorDetails = {}, cause?: unknown) {
    super('HASS_ERR_UNSUPPORTED', message, { details, cause })
  }
}

/** `HASS_ERR_ADDON_NOT_FOUND`: no native addon could be loaded; `details.attempts` says which paths failed and why. */
export class AddonNotFoundError extends HassError {
  override readonly name = 'AddonNotFoundError'
  constructor(message: string, details: HassErrorDetails = {}) {
    super('HASS_ERR_ADDON_NOT_FOUND', message, { details })
  }
}

/**
 * `HASS_ERR_CUDA_UNAVAILABLE`: no CUDA device can be opened. `details.lacks` says what is missing: `library` (no CUDA
 * library could be loaded; `details.attempts` names the paths), `driver` or `device`.
 */
export class CudaUnavailableError extends HassError {
  override readonly name = 'CudaUnavailableError'
  constructor(
    message: string,
    details: HassErrorDetails & { readonly lacks: 'library' | 'driver' | 'device' },
    cause?: unknown,
  ) {
    super('HASS_ERR_CUDA_UNAVAILABLE', message, { details, cause })
  }
}

/** `HASS_ERR_INTERNAL`: a device failed in a way that no argument explains: a fault of this package. */
export class InternalError extends HassError {
  override readonly name = 'InternalError'
  constructor(message: string, details: HassErrorDetails = {}, cause?: unknown) {
    super('HASS_ERR_INTERNAL', message, { details, cause })
  }
}

/** What backends throw: an `Error` with one of the codes of native/README.md. */
export interface BackendError extends Error {
  readonly code: string
  readonly details?: HassErrorDetails
}

const classes = {
  HASS_ERR_INVALID_PROGRAM: InvalidProgramError,
  HASS_ERR_INVALID_INPUT: InvalidInputError,
  HASS_ERR_OUT_OF_MEMORY: OutOfMemoryError,
  HASS_ERR_TOO_LARGE: TooLargeError,
  HASS_ERR_UNSUPPORTED: UnsupportedError,
} as const

/** The typed error for what a backend threw; `what` says what was being done. */
export function translateBackendError(error: unknown, what: string): HassError {
  if (HassError.isInstance(error)) return error
  const { code, message, details = {} } = error as BackendError
  if (code === 'HASS_ERR_DISPOSED') return new DisposedError(what)
  if (code === 'HASS_ERR_INVALID_ARGUMENT') return new InvalidArgumentError(`${what}: ${message}`, details)
  const Class = classes[code as keyof typeof classes] ?? InternalError
  return new Class(`${what}: ${message}`, details, error)
}

/** `HASS_ERR_NOT_DIFFERENTIABLE`: a gradient would have to flow through an operation that has none. */
export class NotDifferentiableError extends HassError {
  override readonly name = 'NotDifferentiableError'
  constructor(message: string, details: HassErrorDetails = {}) {
    super('HASS_ERR_NOT_DIFFERENTIABLE', message, { details })
  }
}
