import {
  type CostTables,
  checkNumber,
  checkOptionKeys,
  createDraftTree,
  type DraftCandidates,
  type DraftContext,
  type DraftModel,
  type DraftTree,
  type ForwardOptions,
  type Frontier,
  type TargetModel,
  type TargetOutput,
  type Token,
  type TreeBuilder,
  type TreePolicy,
  type Verdict,
  type Verifier,
} from '@hass-engine/core'
import { type SequenceOptions, SpeculativeSequence } from './speculative-sequence.js'

export interface SpeculationOptions {
  readonly target: TargetModel
  readonly policy: TreePolicy
  readonly verifier: Verifier
  /** Not needed, and not run, where the policy's width is 0: it drafts from the text alone, or not at all. */
  readonly draft?: DraftModel
  /** Measured costs, for policies that weigh them. */
  readonly costs?: CostTables
  /** Prompt tokens per prefill pass. Changes the speed only. Defaults to 512. */
  readonly prefillChunk?: number
}

/** What one cycle did for one sequence. */
export interface SpeculationCycle {
  readonly tree: DraftTree
  readonly verdict: Verdict
  /** The accepted tokens and the bonus token. */
  readonly emitted: readonly Token[]
}

export interface CycleOptions extends ForwardOptions {
  /** Deepest tree wanted, by sequence: what the context or the wanted length leaves. Defaults to the context's rest. */
  readonly maxDepths?: readonly number[]
  /** Emitted tokens per millisecond so far, for policies that weigh costs. */
  readonly rate?: number
}

const optionKeys = ['target', 'policy', 'verifier', 'draft', 'costs', 'prefillChunk']

/**
 * Speculative decoding over any backend, a cycle at a time and any mix of sequences at once: draft a tree for each,
 * let the target check all trees in one pass, keep what it would have chosen itself.
 *
 * Source: EAGLE-2 (arXiv 2406.16858) and HASS (arXiv 2408.15766), section 3; the verifier decides what "chosen" means.
 *
 * @throws InvalidArgumentError for unknown options
 */
export class Speculation {
  readonly #options: SpeculationOptions
  readonly #draftModel: DraftModel | undefined
  readonly #prefillChunk: number

  constructor(options: SpeculationOptions) {
    checkOptionKeys(options, optionKeys, 'Speculation')
    this.#prefillChunk = checkNumber(options.prefillChunk ?? 512, 'prefillChunk', { min: 1, isInteger: true })
    this.#draftModel = options.policy.width > 0 ? options.draft : undefined
    this.#options = options
  }

  /** Begins a sequence; nothing is computed before `prefill`. */
  createSequence(options: SequenceOptions): SpeculativeSequence {
    checkOptionKeys(options, ['tokens', 'choices', 'coupling'], 'createSequence')
    return new SpeculativeSequence(options, this.#options.target.createSequence(), this.#draftModel?.createSequence())
  }

  /**
   * Reads the prompt of a new sequence and emits its first token, which becomes the root of the first cycle.
   *
   * @returns that token
   */
  async prefill(sequence: SpeculativeSequence, options: ForwardOptions = {}): Promise<Token> {
    const { tokens } = sequence
    for (let from = 0; ; from += this.#prefillChunk) {
      const chunk = Uint32Array.from(tokens.slice(from, from + this.#prefillChunk))
      const isLast = from + chunk.length === tokens.length
      const [output] = await this.#options.target.forward(
        [{ sequence: sequence.target, tokens: chunk, parents: chain(chunk.length), logits: isLast ? 'last' : 'none' }],
        options,
      )
      const rows = range(chunk.length)
      sequence.target.commit(rows)
      sequence.pending = { features: output!.features, rows }
      if (isLast) {
        // To the verifier the prompt's last token is a root without children: its bonus token is the first token.
        const tree = createDraftTree([sequence.root], [-1])
        const { bonusToken } = await this.#verify(sequence, tree, output!, chunk.length - 1)
        sequence.emit([bonusToken])
        return bonusToken
      }
      await this.#readPending([sequence], [tokens.slice(from + 1, from + chunk.length + 1)], 0, options)
    }
  }

  /**
   * Runs one cycle of each sequence, all in the same passes.
   *
   * A failed or aborted cycle leaves its sequences fit for `dispose` only.
   *
   * @returns result i belongs to sequence i
   */
  async cycle(sequences: readonly SpeculativeSequence[], options: CycleOptions = {}): Promise<SpeculationCycle[]> {
    const trees = await this.#draft(sequences, options)
    const outputs = await this.#options.target.forward(
      sequences.map((sequence, i) => ({
        sequence: sequence.target,
        tokens: trees[i]!.tokens,
        parents: trees[i]!.parents,
      })),
      options,
    )
    const cycles: SpeculationCycle[] = []
    for (const [i, sequence] of sequences.entries()) {
      const [tree, output] = [trees[i]!, outputs[i]!]
      const verdict = await this.#verify(sequence, tree, output)
      sequence.target.commit(verdict.path)
      sequence.pending = { features: output.features, rows: verdict.path }
      const emitted = [...Array.from(verdict.path.subarray(1), (node) => tree.tokens[node]!), verdict.bonusToken]
      sequence.emit(emitted)
      this.#options.policy.observe?.(tree, verdict)
      cycles.push({ tree, verdict, emitted })
    }
    return cycles
  }

  #verify(sequence: SpeculativeSequence, tree: DraftTree, { logits }: TargetOutput, firstRow = 0): Promise<Verdict> {
    const target = sequence.choices({ logits, firstRow, history: sequence.tokens.slice(0, -1) })
    return this.#options.verifier.verify({ tree, target, rootPosition: sequence.rootPosition })
  }

  /** Level by level: the policies name rows, the draft model runs those of all sequences in one pass. */
  async #draft(sequences: readonly SpeculativeSequence[], options: CycleOptions): Promise<DraftTree[]> {
    const { policy, target, costs } = this.#options
    const draft = this.#draftModel
    const builders = sequences.map((sequence, i) =>
      policy.start({
        root: sequence.root,
        maxDepth: Math.min(options.maxDepths?.[i] ?? Infinity, target.maxContext - sequence.tokens.length),
        history: sequence.tokens,
        ...(costs && { costs }),
        ...(options.rate !== undefined && { rate: options.rate }),
      }),
    )
    if (draft) {
      const roots = sequences.map((sequence) => sequence.tokens.slice(-sequence.pending!.rows.length))
      let candidates = await this.#readPending(sequences, roots, policy.width, options)
      let open = sequences.map((sequence, i) => ({ sequence: sequence.draft!, builder: builders[i]! }))
      for (;;) {
        const next = expandAll(open, candidates)
        if (next.length === 0) break
        candidates = await draft.extend(next, options)
        open = next
      }
    }
    return builders.map((builder) => builder.finish())
  }

  /** Lets the draft model read what the target has computed since; returns the candidates of each last row. */
  async #readPending(
    sequences: readonly SpeculativeSequence[],
    tokens: readonly (readonly Token[])[],
    width: number,
    options: ForwardOptions,
  ): Promise<DraftCandidates[]> {
    if (!this.#draftModel) return []
    const contexts = sequences.map((sequence, i): DraftContext => {
      const { features, rows } = sequence.pending!
      return {
        sequence: sequence.draft!,
        tokens: Uint32Array.from(tokens[i]!),
        features,
        featureRows: rows,
        width,
        ...(sequence.coupling && { coupling: sequence.coupling }),
      }
    })
    return this.#draftModel.begin(contexts, options)
  }
}

interface OpenDraft {
  readonly sequence: DraftContext['sequence']
  readonly builder: TreeBuilder
}

/** Hands each builder its candidates; only sequences that want to go deeper remain. */
function expandAll(
  open: readonly OpenDraft[],
  candidates: readonly DraftCandidates[],
): (OpenDraft & { frontier: Frontier })[] {
  return open
    .map((draft, i) => ({ ...draft, frontier: draft.builder.expand(candidates[i]!) }))
    .filter(({ frontier }) => frontier.tokens.length > 0)
}

function chain(rows: number): Int32Array {
  return Int32Array.from({ length: rows }, (_, row) => row - 1)
}

function range(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i)
}
