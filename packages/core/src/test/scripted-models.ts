import type { DraftCandidates } from '../drafting.js'
import { InvalidArgumentError } from '../errors.js'
import type {
  DraftContext,
  DraftFrontier,
  DraftModel,
  FeatureRows,
  LogitsRows,
  ModelSequence,
  SequenceStep,
  TargetModel,
  TargetOutput,
  TargetSequence,
} from '../model.js'
import type { Token } from '../token.js'

/** Logits `[vocabSize]` of the token after a context: the whole model. Must depend on the context alone. */
export type NextLogits = (context: readonly Token[]) => ArrayLike<number>

export interface ScriptedModelOptions {
  readonly vocabSize: number
  readonly next: NextLogits
  /** What the model says of itself; it can read any length. Defaults to 4096. */
  readonly maxContext?: number
}

/** Logits from a table: the row of the last token, `[vocabSize][vocabSize]`. A Markov chain of order one. */
export function tableLogits(table: readonly (readonly number[])[]): NextLogits {
  return (context) => table[context.at(-1)!]!
}

/**
 * A target whose distribution is a function of the tokens: exact by construction, so that whatever differs from
 * it is the fault of the policy, the verifier or the loop under test. Its feature of a token is the token's id.
 */
export function createScriptedTarget(options: ScriptedModelOptions): TargetModel {
  const { vocabSize, next, maxContext = 4096 } = options
  return {
    vocabSize,
    hiddenSize: 1,
    maxContext,
    createSequence: () => new ScriptedSequence(),
    async forward(steps, forwardOptions) {
      forwardOptions?.signal?.throwIfAborted()
      return steps.map((step) => runStep(step))
    },
  }

  function runStep(step: SequenceStep): TargetOutput {
    const sequence = step.sequence as ScriptedSequence
    sequence.append(step.tokens, step.parents)
    const contexts = Array.from(step.tokens, (_, row) => sequence.context(row))
    return {
      logits: scriptedLogits(step.tokens.length, vocabSize, (row) => next(contexts[row]!)),
      features: scriptedFeatures(step.tokens),
    }
  }
}

/**
 * A draft model whose candidates are a function of the tokens. Give it the target's `next` for a perfect head, or
 * any other for a wrong one. Expects the features of `createScriptedTarget`, and refuses those of a wrong position.
 */
export function createScriptedDraft(options: ScriptedModelOptions): DraftModel {
  const { vocabSize, next } = options
  return {
    createSequence: () => new ScriptedDraftSequence(),
    async begin(contexts, forwardOptions) {
      forwardOptions?.signal?.throwIfAborted()
      return Promise.all(contexts.map(beginContext))
    },
    async extend(frontiers, forwardOptions) {
      forwardOptions?.signal?.throwIfAborted()
      return frontiers.map(extendFrontier)
    },
  }

  async function beginContext(context: DraftContext): Promise<DraftCandidates> {
    const sequence = context.sequence as ScriptedDraftSequence
    const features = await Promise.all(Array.from(context.featureRows, (row) => context.features.read(row)))
    sequence.begin(
      context.tokens,
      features.map((feature) => feature[0]!),
      context.width,
    )
    return candidatesOf([sequence.rows[0]!], context.width)
  }

  function extendFrontier({ sequence, frontier }: DraftFrontier): DraftCandidates {
    const { rows, width } = sequence as ScriptedDraftSequence
    const added = Array.from(frontier.tokens, (token, i) => [...rows[frontier.parents[i]!]!, token])
    rows.push(...added)
    return candidatesOf(added, width)
  }

  function candidatesOf(contexts: readonly (readonly Token[])[], width: number): DraftCandidates {
    const tokens = new Uint32Array(contexts.length * width)
    const logProbs = new Float32Array(contexts.length * width)
    contexts.forEach((context, row) => {
      const logits = Array.from(next(context))
      const logSum = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0))
      const ranked = logits.map((_, token) => token).sort((a, b) => logits[b]! - logits[a]! || a - b)
      for (let rank = 0; rank < width; rank++) {
        // A vocabulary smaller than the width leaves impossible candidates, as a real head's padding would.
        const token = ranked[rank]
        tokens[row * width + rank] = token ?? vocabSize - 1
        logProbs[row * width + rank] = token === undefined ? -Infinity : logits[token]! - logSum
      }
    })
    return { rows: contexts.length, width, tokens, logProbs }
  }
}

class ScriptedSequence implements TargetSequence {
  readonly #committed: Token[] = []
  #tokens: Uint32Array = new Uint32Array()
  #parents: Int32Array = new Int32Array()

  get length(): number {
    return this.#committed.length
  }

  append(tokens: Uint32Array, parents: Int32Array): void {
    this.#tokens = tokens
    this.#parents = parents
  }

  context(row: number): Token[] {
    const path: Token[] = []
    for (let at = row; at >= 0; at = this.#parents[at]!) path.unshift(this.#tokens[at]!)
    return [...this.#committed, ...path]
  }

  commit(rows: ArrayLike<number>): void {
    const kept = Array.from(rows)
    kept.forEach((row, i) => {
      if (this.#parents[row] !== (kept[i - 1] ?? -1)) {
        throw new InvalidArgumentError(`Row ${row} was committed after row ${kept[i - 1]}, which is not its parent.`)
      }
    })
    this.#committed.push(...kept.map((row) => this.#tokens[row]!))
    this.append(new Uint32Array(), new Int32Array())
  }

  dispose(): void {}
}

class ScriptedDraftSequence implements ModelSequence {
  /** Tokens that each row of the cycle has seen, its own last; row 0 is the root's. */
  rows: Token[][] = []
  width = 0
  #tokens: Token[] = []

  get length(): number {
    return Math.max(this.#tokens.length - 1, 0)
  }

  begin(tokens: Uint32Array, features: readonly number[], width: number): void {
    // The first token has no row of its own; its feature tells it.
    if (this.#tokens.length === 0) this.#tokens.push(features[0]!)
    for (const [i, token] of tokens.entries()) {
      if (features[i] !== this.#tokens.at(-1)) {
        throw new InvalidArgumentError(
          `Row ${i} pairs token ${token} with the feature of ${features[i]}, expected that of the token before it, ${this.#tokens.at(-1)}.`,
        )
      }
      this.#tokens.push(token)
    }
    this.rows = [[...this.#tokens]]
    this.width = width
  }

  dispose(): void {}
}

function scriptedFeatures(tokens: Uint32Array): FeatureRows {
  return { rows: tokens.length, hiddenSize: 1, read: (row) => Float32Array.of(tokens[row]!) }
}

function scriptedLogits(rows: number, vocabSize: number, read: (row: number) => ArrayLike<number>): LogitsRows {
  return {
    rows,
    vocabSize,
    read: (row) => Float32Array.from(read(row)),
    argMax(row) {
      const logits = Array.from(read(row))
      return logits.indexOf(Math.max(...logits))
    },
    gumbelArgMax() {
      throw new InvalidArgumentError('A scripted target has no noise of its own: read the row and choose from it.')
    },
  }
}
