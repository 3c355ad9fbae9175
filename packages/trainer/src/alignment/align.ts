import type { Graph, GraphTensor } from '@hass-engine/kernels'
import type { TrainingHead } from '../training-head.js'
import type { StepInputs } from './step-inputs.js'

export interface AlignmentInputs {
  /** `[context, E] F32`, the embeddings of the tokens that follow. */
  readonly embedded: GraphTensor
  /** `[context, E] F32`, the target's features: source 0. */
  readonly features: GraphTensor
  /** `[context] U32` */
  readonly positions: GraphTensor
  /** `[sequences, E] F32`, the feature of each sequence's first position. */
  readonly firstFeatures: GraphTensor
  readonly steps: readonly StepInputs[]
}

export interface AlignedStep {
  /** What the head predicts at the step's rows, `[rows, E] F32`. */
  readonly prediction: GraphTensor
  /** The input features of a step beyond the first, through which no gradient flows. */
  readonly source: GraphTensor | undefined
}

/**
 * Harmonized context alignment (HASS, section 3.2). Step 1 is the ordinary pass over the target's features. In step s
 * the head reads its own prediction of step s − 1 at the position before; a query at distance o from a key sees the
 * key of the source that step s − o has read, and never an older one than the target's: just what it will see s tokens
 * deep in a draft. Keys and values of a source are computed once, and stand behind those of the sources before it.
 */
export function align(graph: Graph, head: TrainingHead, inputs: AlignmentInputs): AlignedStep[] {
  const { embedded, firstFeatures, steps } = inputs
  const all = head.combine(embedded, inputs.features)
  let context = head.keysAndValues(all, inputs.positions)
  const done: AlignedStep[] = []
  for (const { places, positions, sources, pool, context: seen, slots } of steps) {
    const before = done.at(-1)
    const source = before && graph.gatherRows(graph.concatRows(before.prediction, firstFeatures, pool), sources)
    const h = source ? head.combine(graph.gatherRows(embedded, places), source) : graph.gatherRows(all, places)
    if (source) {
      const { keys, values } = head.keysAndValues(h, positions)
      context = {
        keys: graph.concatRows(context.keys, keys, slots),
        values: graph.concatRows(context.values, values, slots),
      }
    }
    done.push({ prediction: head.predict(h, positions, context, seen), source })
  }
  return done
}
