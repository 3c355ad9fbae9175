import type { Handle } from '../addon/addon.js'
import type { BackendError } from '../errors.js'

/** An error as backends throw it. */
export function backendError(code: string, message: string, details: Record<string, unknown> = {}): BackendError {
  return Object.assign(new Error(message), { code: `HASS_ERR_${code}`, details })
}

/** Objects by handles that are never used twice. */
export class Registry {
  readonly #objects = new Map<Handle, object>()
  #last = 0

  add(object: object): Handle {
    this.#objects.set(++this.#last, object)
    return this.#last
  }

  /** @throws an `Error` with `HASS_ERR_DISPOSED` or `HASS_ERR_INVALID_ARGUMENT` */
  get<Kind extends object>(handle: Handle, Kind: abstract new (...parts: never[]) => Kind): Kind {
    const object = this.#objects.get(handle)
    if (object instanceof Kind) return object
    if (!object && Number.isInteger(handle) && handle >= 1 && handle <= this.#last) {
      throw backendError('DISPOSED', `handle ${handle} has been disposed`)
    }
    throw backendError('INVALID_ARGUMENT', `${String(handle)} is no handle of a ${Kind.name}`)
  }

  take(handle: Handle): object | undefined {
    const object = this.#objects.get(handle)
    this.#objects.delete(handle)
    return object
  }
}
