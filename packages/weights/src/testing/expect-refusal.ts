import { HassError } from '@hass-engine/core'
import { expect } from 'vitest'

/** Waits for a refusal and returns it: an error of ours, and none of somebody else's. */
export async function expectRefusal(attempt: Promise<unknown>, code?: string | RegExp): Promise<HassError> {
  const error = await attempt.then(
    /* v8 ignore next -- only a failing test gets here */
    () => undefined,
    (reason: unknown) => reason,
  )
  /* v8 ignore next -- only a failing test gets here */
  if (!HassError.isInstance(error)) expect.fail(`expected a HassError, found ${error}`)
  if (code !== undefined) expect(error.code, error.message).toMatch(code)
  return error
}

/** For properties: true if `attempt` succeeds or refuses; throws whatever else comes. */
export async function isParsedOrRefused(attempt: Promise<unknown>): Promise<boolean> {
  try {
    await attempt
    return true
  } catch (error) {
    /* v8 ignore next -- only a failing test gets here */
    if (!HassError.isInstance(error)) throw error
    return true
  }
}
