import type {
  ChoiceRule,
  FeatureRows,
  LogitsRows,
  ModelSequence,
  SequenceStep,
  TargetChoices,
  TargetSequence,
  Token,
  TreePolicy,
} from '@hass-engine/core'
import { InvalidArgumentError } from '@hass-engine/core'

/** One target pass over a tree, as the choice of tokens sees it. */
export interface TargetPass {
  /** Node i of the tree is row `firstRow + i`. */
  readonly logits: LogitsRows
  readonly firstRow: number
  /** The tokens before the root, so that the root stands at position `history.length`. */
  readonly history: ArrayLike<Token>
}

export interface SequenceOptions {
  /** The prompt: at least one token. */
  readonly tokens: ArrayLike<Token>
  /** How this sequence's target chooses: processors, temperature and noise live behind it (`createTargetChooser`). */
  readonly choices: (pass: TargetPass) => TargetChoices
  /** Decides what this sequence's trees hold. Defaults to the speculation's. */
  readonly policy?: TreePolicy
  /** Given where temperature and seed alone say what `choices` asks of the target's logits. Changes the speed only. */
  readonly choice?: Pick<ChoiceRule, 'temperature' | 'seed'>
  /** Given if the draft model shall couple its candidates with the target's noise. Defaults to plain candidates. */
  readonly coupling?: ChoiceRule
}

/** A sequence's caches, empty or holding a prefix of its prompt. */
export interface SequenceModels {
  readonly target: TargetSequence
  readonly draft: ModelSequence | undefined
}

/** The target's features of tokens whose draft rows are not yet computed. */
export interface PendingFeatures {
  readonly features: FeatureRows
  readonly rows: ArrayLike<number>
}

/**
 * One text as it grows. Between cycles its last token is the root: emitted, and in no cache yet.
 *
 * Made by `Speculation.createSequence`; its caches are freed by `dispose`.
 */
export class SpeculativeSequence {
  readonly choices: SequenceOptions['choices']
  /** As a step of the target takes it. */
  readonly step: Pick<SequenceStep, 'choice'>
  readonly coupling: ChoiceRule | undefined
  readonly policy: TreePolicy
  readonly target: TargetSequence
  /** Absent where the policy needs no draft model. */
  readonly draft: ModelSequence | undefined
  readonly promptLength: number
  /** Features of the tokens that the draft model has not read; it reads them at the beginning of the next cycle. */
  pending: PendingFeatures | undefined
  /** Grows like a list: its first `#length` elements count. */
  #tokens: Uint32Array
  #length: number

  constructor(options: SequenceOptions & { readonly policy: TreePolicy }, models: SequenceModels) {
    if (options.tokens.length === 0) {
      throw new InvalidArgumentError('A sequence begins with at least one token; the prompt is empty.')
    }
    this.#tokens = Uint32Array.from(options.tokens)
    this.#length = this.#tokens.length
    this.promptLength = this.#length
    this.choices = options.choices
    this.step = options.choice ? { choice: options.choice } : {}
    this.coupling = options.coupling
    this.policy = options.policy
    this.target = models.target
    this.draft = models.draft
  }

  /** Prompt and emitted tokens, the root last; a view that stays as it is when the sequence goes on. */
  get tokens(): Uint32Array {
    return this.#tokens.subarray(0, this.#length)
  }

  get root(): Token {
    return this.#tokens[this.#length - 1]!
  }

  get rootPosition(): number {
    return this.#length - 1
  }

  emit(tokens: readonly Token[]): void {
    const length = this.#length + tokens.length
    if (length > this.#tokens.length) {
      const grown = new Uint32Array(2 * length)
      grown.set(this.tokens)
      this.#tokens = grown
    }
    this.#tokens.set(tokens, this.#length)
    this.#length = length
  }

  /** Frees both caches; a second call does nothing. */
  dispose(): void {
    this.target.dispose()
    this.draft?.dispose()
  }
}
