import type { Graph, GraphTensor } from '@hass-engine/kernels'
import type { StepLosses } from '../head-trainer.js'
import type { CompleteRecipe } from '../recipe.js'

/** The rows at which losses count, and what each counts for; see `lossWeights`. */
export interface ObjectiveInputs {
  /** `[masked, E] F32`, the target's next feature of each row. */
  readonly targets: GraphTensor
  /** `[masked, tokens] F32`, its distribution over the draft vocabulary: see `targetDistribution`. */
  readonly targetProbs: GraphTensor
  /** `[tokens of the draft vocabulary, E] F32` */
  readonly lmHead: GraphTensor
  readonly featureWeights: GraphTensor
  readonly tokenWeights: GraphTensor
}

/**
 * Harmonized objective distillation (HASS, section 3.1), of one alignment step at the rows `masked`:
 *
 *     L = w_feature · SmoothL1(f̂, f) + w_token · Σ_v −p(v) log q(v) + w_topK · Σ_{v ∈ TopK(p)} −p(v) log q(v)
 *
 * with p the target's and q the head's distribution over the draft vocabulary; the top-K sum is not renormalised. No
 * logit of the head outlives its row.
 *
 * @returns the losses of each row, and the gradient of L, a mean over rows, by `prediction`
 */
export function harmonizedObjective(
  graph: Graph,
  prediction: GraphTensor,
  { targets, ...others }: ObjectiveInputs,
  { topK, weights }: CompleteRecipe,
): { losses: GraphTensor; gradient: GraphTensor } {
  return graph.distillation(prediction, targets, { ...others, topK, weights })
}

/**
 * The target's distribution of each row at temperature 1, restricted to the draft vocabulary and renormalised: the
 * softmax of its logits there. It is computed once and shared by all alignment steps.
 */
export function targetDistribution(graph: Graph, targets: GraphTensor, lmHead: GraphTensor): GraphTensor {
  return graph.softmax(graph.plainLinear(targets, lmHead))
}

/** Keeps a mean over no rows from being none; the reference implementation has it, too. */
const fewest = 1e-5

/** `[masked]`, what each row counts for in the mean over the rows that `counts` marks. */
export function lossWeights(counts: Uint8Array): Float32Array {
  const share = 1 / (counts.reduce((sum, count) => sum + count, 0) + fewest)
  return Float32Array.from(counts, (count) => count * share)
}

/** Means of the losses `[masked, 4]` of one step. */
export function meanLosses(
  losses: ArrayLike<number>,
  featureWeights: Float32Array,
  tokenWeights: Float32Array,
  { weights }: CompleteRecipe,
): StepLosses {
  const sums = [0, 0, 0, 0]
  for (let i = 0; i < losses.length; i++) {
    const weight = (i % 4 === 0 ? featureWeights : tokenWeights)[i >> 2]!
    // What counts for nothing may be anything.
    if (weight > 0) sums[i % 4] = sums[i % 4]! + weight * losses[i]!
  }
  const [feature, token, topK, accuracy] = sums as [number, number, number, number]
  const total = weights.feature * feature + weights.token * token + weights.topK * topK
  return { feature, token, topK, total, accuracy }
}
