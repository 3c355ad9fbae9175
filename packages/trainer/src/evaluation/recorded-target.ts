import {
  type FeatureRows,
  InvalidArgumentError,
  type LogitsRows,
  type SequenceStep,
  type TargetChoices,
  type TargetModel,
  type TargetOutput,
  type TargetSequence,
} from '@hass-engine/core'
import type { TargetPass } from '@hass-engine/engine'
import type { Corpus } from '../corpus/open-corpus.js'

/**
 * A target that has said everything already: its choices are the recorded tokens, its features the recorded ones. What
 * the true target would do with the same noise it does too, at the price of reading a file.
 */
export class RecordedTarget implements TargetModel {
  readonly vocabSize: number
  readonly hiddenSize: number
  readonly maxContext = 2 ** 24

  constructor({ vocabSize, hiddenSize }: Corpus) {
    this.vocabSize = vocabSize
    this.hiddenSize = hiddenSize
  }

  createSequence(): TargetSequence {
    throw new InvalidArgumentError('A recorded target has recorded sequences only.')
  }

  async forward(steps: readonly SequenceStep[]): Promise<TargetOutput[]> {
    return steps.map(({ sequence, parents }) => (sequence as RecordedSequence).step(parents))
  }
}

/** One recorded text, committed token by token. */
export class RecordedSequence implements TargetSequence {
  readonly #features: Float32Array
  readonly #hiddenSize: number
  #length = 0

  /** @param features `[T - 1, hiddenSize]` */
  constructor(features: Float32Array, hiddenSize: number) {
    this.#features = features
    this.#hiddenSize = hiddenSize
  }

  get length(): number {
    return this.#length
  }

  commit(rows: ArrayLike<number>): void {
    this.#length += rows.length
  }

  dispose(): void {}

  /** Rows of a step: one that is accepted has the feature of its position; of others nothing is ever read. */
  step(parents: Int32Array): TargetOutput {
    const positions = new Uint32Array(parents.length)
    for (const [row, parent] of parents.entries()) {
      positions[row] = parent === -1 ? this.#length : positions[parent]! + 1
    }
    const size = this.#hiddenSize
    const features: FeatureRows = {
      rows: parents.length,
      hiddenSize: size,
      read: (row) => {
        const from = positions[row]! * size
        const found = this.#features.slice(from, from + size)
        // Behind the last token nothing is known; a cycle may end there, and none begins.
        return found.length === size ? found : new Float32Array(size)
      },
    }
    return { logits: unreadLogits(parents.length), features }
  }
}

/** The recorded tokens as choices; behind the last one, a token that no draft can have proposed. */
export function recordedChoices(tokens: Uint32Array, vocabSize: number): (pass: TargetPass) => TargetChoices {
  return ({ history }) => ({
    choose: (_, path) => tokens[history.length + path.length] ?? vocabSize,
    probs() {
      throw new InvalidArgumentError('A recorded target knows its choices, not its distributions.')
    },
  })
}

function unreadLogits(rows: number): LogitsRows {
  const refuse = () => {
    throw new InvalidArgumentError('A recorded target has no logits.')
  }
  return { rows, vocabSize: 0, argMax: refuse, gumbelArgMax: refuse, read: refuse }
}
