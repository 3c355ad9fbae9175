import { checkNumber, checkOptionKeys } from '@hass-engine/core'

/** How a head is trained, batches and learning rates aside. */
export interface HeadRecipe {
  /** Alignment steps of harmonized context alignment (HASS, section 3.2), 1 to 8. Defaults to 3. */
  readonly alignmentSteps?: number
  /** Weights of the three losses in the objective (section 3.1). Default to 1, 0.1 and 1. */
  readonly weights?: { readonly feature: number; readonly token: number; readonly topK: number }
  /** Tokens of the top-K loss. Defaults to 10. */
  readonly topK?: number
  /** Decay of AdamW's first and second moment. Default to 0.9 and 0.95. */
  readonly betas?: readonly [first: number, second: number]
  /** Defaults to 1e-8. */
  readonly epsilon?: number
  /** Decoupled, of every parameter. Defaults to 0.01. */
  readonly weightDecay?: number
  /** Largest size of an element of the gradient. Defaults to 0.5. */
  readonly clip?: number
}

export type CompleteRecipe = Required<HeadRecipe>

const defaults: CompleteRecipe = {
  alignmentSteps: 3,
  weights: { feature: 1, token: 0.1, topK: 1 },
  topK: 10,
  betas: [0.9, 0.95],
  epsilon: 1e-8,
  weightDecay: 0.01,
  clip: 0.5,
}

/** More than anyone has trained with; the paper finds no gain beyond four. */
const maxAlignmentSteps = 8

/**
 * A recipe with its defaults filled in.
 *
 * @throws InvalidArgumentError for unknown options and numbers out of their range
 */
export function completeRecipe(recipe: HeadRecipe): CompleteRecipe {
  checkOptionKeys(recipe, Object.keys(defaults) as (keyof HeadRecipe)[], 'recipe')
  const complete = { ...defaults, ...recipe }
  const { alignmentSteps, weights, topK, betas, epsilon, weightDecay, clip } = complete
  checkNumber(alignmentSteps, 'alignmentSteps', { min: 1, max: maxAlignmentSteps, isInteger: true })
  checkOptionKeys(weights, ['feature', 'token', 'topK'], 'weights')
  for (const [name, weight] of Object.entries(weights)) checkNumber(weight, `weight of the ${name} loss`, { min: 0 })
  checkNumber(topK, 'topK', { min: 1, isInteger: true })
  for (const beta of betas) checkNumber(beta, 'a beta', { min: 0, below: 1 })
  checkNumber(epsilon, 'epsilon', { min: 0 })
  checkNumber(weightDecay, 'weightDecay', { min: 0 })
  if (!(checkNumber(clip, 'clip') > 0)) checkNumber(Number.NaN, `clip ${clip} (more than 0)`)
  return complete
}
