import type { SequenceStep, TargetModel, TargetOutput, TargetSequence } from '@hass-engine/core'
import { linear, rmsNorm, rowOf } from './arithmetic.js'
import { type KvEntry, type LayerShape, type LayerWeights, runLayer } from './decoder-layer.js'
import { featureRows, logitsRows } from './rows.js'

export interface OwnTargetWeights {
  readonly shape: LayerShape
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly maxContext: number
  /** `[vocabSize, hiddenSize]` */
  readonly embedding: Float32Array
  readonly layers: readonly LayerWeights[]
  readonly norm: Float32Array
  /** `[vocabSize, hiddenSize]` */
  readonly lmHead: Float32Array
}

/** A LLaMA-like target: each row is computed by itself, from its own path, so no row depends on another. */
export function createOwnTarget(weights: OwnTargetWeights): TargetModel {
  const { vocabSize, hiddenSize, maxContext } = weights
  return {
    vocabSize,
    hiddenSize,
    maxContext,
    createSequence: () => new OwnSequence(),
    async forward(steps, options) {
      options?.signal?.throwIfAborted()
      return steps.map((step) => forwardStep(step, weights))
    },
  }
}

function forwardStep(step: SequenceStep, weights: OwnTargetWeights): TargetOutput {
  const sequence = step.sequence as OwnSequence
  sequence.clearStep()
  const features = Array.from(step.tokens, (token, row) => {
    const path = sequence.pathOf(step.parents[row]!)
    let x = rowOf(weights.embedding, token, weights.hiddenSize)
    const entries = weights.layers.map((layer, index) => {
      const context = path.map((entry) => entry[index]!)
      const result = runLayer(x, path.length, context, layer, weights.shape)
      x = result.x
      return result.entry
    })
    sequence.add(path, entries)
    return rmsNorm(x, weights.norm, weights.shape.epsilon)
  })
  return {
    features: featureRows(features, weights.hiddenSize),
    logits: logitsRows(features.length, weights.vocabSize, (row) => linear(weights.lmHead, features[row]!)),
  }
}

/** Keys and values of one token in all layers. */
type TokenEntries = readonly KvEntry[]

class OwnSequence implements TargetSequence {
  #committed: TokenEntries[] = []
  /** Each row of the step: what it sees, its own entries last. */
  #step: (readonly TokenEntries[])[] = []

  get length(): number {
    return this.#committed.length
  }

  clearStep(): void {
    this.#step = []
  }

  /** What a child of this row sees; -1 is the last committed token. */
  pathOf(row: number): readonly TokenEntries[] {
    return row === -1 ? this.#committed : this.#step[row]!
  }

  add(path: readonly TokenEntries[], entries: TokenEntries): void {
    this.#step.push([...path, entries])
  }

  commit(rows: ArrayLike<number>): void {
    this.#committed.push(...Array.from(rows, (row) => this.#step[row]!.at(-1)!))
    this.clearStep()
  }

  dispose(): void {
    this.#committed = []
    this.clearStep()
  }
}
