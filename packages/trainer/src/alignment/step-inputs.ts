import type { AlignedContext, Dimension, Graph, GraphTensor, InputData } from '@hass-engine/kernels'
import type { TrainingRows } from './training-rows.js'

/** Most rows of one batch. */
export interface BatchLimits {
  readonly sequences: number
  readonly positions: number
}

/** What one alignment step reads, as inputs of a graph; see `StepRows`. */
export interface StepInputs {
  readonly places: GraphTensor
  readonly positions: GraphTensor
  /** What the input features are chosen from, and which: predictions of the step before, then first features. */
  readonly pool: Dimension
  readonly sources: GraphTensor
  readonly context: AlignedContext
  readonly masked: GraphTensor
  /** Slots of all sources up to this step's. */
  readonly slots: Dimension
}

/** What all steps share: the rows that some step attends to, and those whose losses count. */
export interface ContextInputs {
  /** `[context] uint32` both. */
  readonly tokens: GraphTensor
  readonly positions: GraphTensor
  /** `[context, E]`, the target's. */
  readonly features: GraphTensor
  readonly masked: Dimension
}

/** Declares what a training step reads beside the inputs of its alignment steps. */
export function declareContext(graph: Graph, hiddenSize: number, limits: BatchLimits): ContextInputs {
  const most = limits.sequences * limits.positions
  const context = graph.dimension('context', most)
  return {
    tokens: graph.input('tokens', 'U32', [context]),
    positions: graph.input('positions', 'U32', [context]),
    features: graph.input('features', 'F32', [context, hiddenSize]),
    masked: graph.dimension('masked', most),
  }
}

/** Declares the inputs of step `step`, the first being 1. */
export function declareStep(graph: Graph, step: number, masked: Dimension, limits: BatchLimits): StepInputs {
  const most = limits.sequences * limits.positions
  const name = (what: string) => `step${step}.${what}`
  const rows = graph.dimension(name('rows'), most)
  const near = graph.dimension(name('near'), most * (step - 1))
  const offsets = graph.dimension(name('offsets'), most + 1)
  const words = (what: string, extent: Dimension) => graph.input(name(what), 'U32', [extent])
  return {
    places: words('places', rows),
    positions: words('positions', rows),
    pool: graph.dimension(name('pool'), most + limits.sequences),
    sources: words('sources', rows),
    context: {
      begins: words('begins', rows),
      ends: words('ends', rows),
      nearOffsets: words('nearOffsets', offsets),
      near: words('near', near),
    },
    masked: words('masked', masked),
    slots: graph.dimension(name('slots'), most * step),
  }
}

/** The elements of the steps' inputs, and the dimensions that they do not tell. */
export function bindSteps({ context, firsts, steps }: TrainingRows) {
  const inputs: Record<string, InputData> = {}
  const dims: Record<string, number> = {}
  let [slots, pool] = [context.length, 0]
  for (const [i, rows] of steps.entries()) {
    for (const [name, data] of Object.entries(rows)) inputs[`step${i + 1}.${name}`] = data
    if (i > 0) slots += rows.places.length
    dims[`step${i + 1}.slots`] = slots
    dims[`step${i + 1}.pool`] = pool
    pool = rows.places.length + firsts.length
  }
  return { inputs, dims }
}
