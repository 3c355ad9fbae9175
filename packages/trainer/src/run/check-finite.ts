import type { TrainerState } from '../head-trainer.js'
import { NonFiniteError } from '../non-finite-error.js'

/**
 * Does what belongs to an optimizer step, which a failure then names.
 *
 * @throws NonFiniteError `HASS_ERR_NON_FINITE`, naming step and tensor; whatever else `perform` throws
 */
export async function inStep<Result>(step: number, perform: () => Promise<Result>): Promise<Result> {
  try {
    return await perform()
  } catch (error) {
    if (!(error instanceof NonFiniteError)) throw error
    throw new NonFiniteError(`In step ${step}: ${error.message} ${advice}`, { ...error.details, step })
  }
}

/**
 * Checks everything that a checkpoint would hold.
 *
 * @throws NonFiniteError `HASS_ERR_NON_FINITE`, naming step and tensor
 */
export function checkState({ parameters, firstMoments, secondMoments }: TrainerState, step: number): void {
  // Moments first: a gradient reaches them before it reaches the parameters.
  const groups = [
    ['the first moment of ', firstMoments],
    ['the second moment of ', secondMoments],
    ['', parameters],
  ] as const
  for (const [prefix, tensors] of groups) {
    for (const [name, values] of tensors) {
      const index = values.findIndex((value) => !Number.isFinite(value))
      if (index === -1) continue
      const tensor = `${prefix}${name}[${index}]`
      throw new NonFiniteError(`In step ${step}: ${tensor} is ${values[index]}. ${advice}`, {
        step,
        tensor,
        value: values[index],
      })
    }
  }
}

const advice =
  'The run has stopped and nothing of this step was saved: begin a new run with a lower learning rate, or look at the data.'
