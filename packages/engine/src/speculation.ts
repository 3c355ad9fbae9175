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
  HassError,
  InvalidArgumentError,
  type TargetModel,
  type TargetOutput,
  type Token,
  type TreePolicy,
  type Verdict,
  type Verifier,
} from '@hass-engine/core'
import { allocate, projectVerdict } from '@hass-engine/draft-tree'
import { SequenceDraft } from './sequence-draft.js'
import { type SequenceModels, type SequenceOptions, SpeculativeSequence } from './speculative-sequence.js'

export interface SpeculationOptions {
  readonly target: TargetModel
  readonly policy: TreePolicy
  readonly verifier: Verifier
  /** Not needed, and not run, where a policy's width is 0: it drafts from the text alone, or not at all. */
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
  /** Milliseconds of the cycle's parts; sequences of one cycle share them. */
  readonly draftMs: number
  readonly verifyMs: number
}

export interface CycleOptions extends ForwardOptions {
  /** Deepest tree wanted, by sequence: what the wanted length leaves. Defaults to the context's rest. */
  readonly maxDepths?: readonly number[]
  /** Emitted tokens per millisecond so far, of all sequences together: for policies that weigh costs. */
  readonly rate?: number
  /** Rows that the target's pass may take, roots included: larger trees are cut. Defaults to no limit. */
  readonly maxRows?: number
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
  readonly #prefillChunk: number

  constructor(options: SpeculationOptions) {
    checkOptionKeys(options, optionKeys, 'Speculation')
    this.#prefillChunk = checkNumber(options.prefillChunk ?? 512, 'prefillChunk', { min: 1, isInteger: true })
    this.#options = options
  }

  /**
   * Begins a sequence; nothing is computed before `prefill`.
   *
   * @param models caches that hold rows of the prompt already, the same number of both: n rows of the draft have read
   * n + 1 tokens. Defaults to empty ones
   */
  createSequence(options: SequenceOptions, models?: SequenceModels): SpeculativeSequence {
    checkOptionKeys(options, ['tokens', 'choices', 'policy', 'choice', 'coupling'], 'createSequence')
    const { target, draft } = this.#options
    const policy = options.policy ?? this.#options.policy
    if (policy.width > 0 && !draft) {
      throw new InvalidArgumentError(`The policy ${policy.name} needs a draft model; pass one as draft.`, {
        policy: policy.name,
      })
    }
    const caches = models ?? {
      target: target.createSequence(),
      draft: policy.width > 0 ? draft?.createSequence() : undefined,
    }
    return new SpeculativeSequence({ ...options, policy }, caches)
  }

  /** Reads a new sequence's whole prompt and emits its first token, which becomes the root of the first cycle. */
  async prefill(sequence: SpeculativeSequence, options: ForwardOptions = {}): Promise<Token> {
    for (;;) {
      const first = await this.prefillChunk(sequence, options)
      if (first !== undefined) return first
    }
  }

  /**
   * Reads the next part of a new sequence's prompt.
   *
   * @returns the first token, once the prompt has been read
   */
  async prefillChunk(sequence: SpeculativeSequence, options: ForwardOptions = {}): Promise<Token | undefined> {
    const from = sequence.target.length
    const { tokens } = sequence
    const chunk = tokens.subarray(from, from + this.#prefillChunk)
    const isLast = from + chunk.length === tokens.length
    const [output] = await this.#options.target.forward(
      [
        {
          ...sequence.step,
          sequence: sequence.target,
          tokens: chunk,
          parents: chain(chunk.length),
          logits: isLast ? 'last' : 'none',
        },
      ],
      options,
    )
    const rows = range(chunk.length)
    sequence.target.commit(rows)
    sequence.pending = { features: output!.features, rows }
    if (!isLast) {
      const next = tokens.subarray(from + 1, from + chunk.length + 1)
      if (sequence.draft) await this.#readPending([{ sequence, tokens: next, width: 0 }], options)
      return undefined
    }
    // To the verifier the prompt's last token is a root without children: its bonus token is the first token.
    const tree = createDraftTree([sequence.root], [-1])
    const { bonusToken } = await this.#verify(sequence, tree, output!, chunk.length - 1)
    sequence.emit([bonusToken])
    return bonusToken
  }

  /**
   * Runs one cycle of each sequence, all in the same passes.
   *
   * @returns result i belongs to sequence i
   * @throws whatever stopped a pass or a verification; the sequences are then fit for `dispose` only
   */
  async cycle(sequences: readonly SpeculativeSequence[], options: CycleOptions = {}): Promise<SpeculationCycle[]> {
    const results = await this.settleCycle(sequences, options)
    return results.map((result) => {
      if (result.status === 'rejected') throw result.reason
      return result.value
    })
  }

  /** `cycle`, where a sequence whose policy or choice of tokens fails does not take the others with it. */
  async settleCycle(
    sequences: readonly SpeculativeSequence[],
    options: CycleOptions = {},
  ): Promise<PromiseSettledResult<SpeculationCycle>[]> {
    const startedAt = performance.now()
    const pass = options.signal ? { signal: options.signal } : {}
    const drafts = await this.#draft(sequences, options, pass)
    const planned = this.#cut(drafts, options)
    const draftedAt = performance.now()
    const steps = planned.map(({ sequence: { target, step }, tree: { tokens, parents } }) => {
      return { ...step, sequence: target, tokens, parents }
    })
    const outputs = steps.length > 0 ? await this.#options.target.forward(steps, pass) : []
    const times = { draftMs: draftedAt - startedAt, verifyMs: performance.now() - draftedAt }
    const kept = new Map<SpeculativeSequence, PromiseSettledResult<SpeculationCycle>>()
    for (const [i, plan] of planned.entries()) {
      try {
        kept.set(plan.sequence, { status: 'fulfilled', value: { ...(await this.#keep(plan, outputs[i]!)), ...times } })
      } catch (reason) {
        kept.set(plan.sequence, { status: 'rejected', reason })
      }
    }
    return drafts.map(({ sequence, failure }) => kept.get(sequence) ?? { status: 'rejected', ...failure! })
  }

  async #keep({ sequence, tree, own }: PlannedTree, output: TargetOutput) {
    const verdict = await this.#verify(sequence, tree, output)
    sequence.target.commit(verdict.path)
    sequence.pending = { features: output.features, rows: verdict.path }
    const emitted = [...Array.from(verdict.path.subarray(1), (node) => tree.tokens[node]!), verdict.bonusToken]
    sequence.emit(emitted)
    sequence.policy.observe?.(own, tree === own ? verdict : projectVerdict(tree, verdict, own))
    return { tree, verdict, emitted }
  }

  #verify(sequence: SpeculativeSequence, tree: DraftTree, { logits }: TargetOutput, firstRow = 0): Promise<Verdict> {
    const target = sequence.choices({ logits, firstRow, history: sequence.tokens.subarray(0, -1) })
    return this.#options.verifier.verify({ tree, target, rootPosition: sequence.rootPosition })
  }

  /** Level by level: the policies name rows, the draft model runs those of all sequences in one pass. */
  async #draft(
    sequences: readonly SpeculativeSequence[],
    options: CycleOptions,
    pass: ForwardOptions,
  ): Promise<SequenceDraft[]> {
    const { target, costs } = this.#options
    const drafts = sequences.map((sequence, i) => {
      const { root, tokens } = sequence
      const cycle = {
        root,
        maxDepth: Math.max(0, Math.min(options.maxDepths?.[i] ?? Infinity, target.maxContext - tokens.length)),
        history: tokens,
        ...(costs && { costs }),
        ...(options.rate !== undefined && { rate: options.rate / sequences.length }),
      }
      return new SequenceDraft(sequence, cycle, target.vocabSize)
    })
    const drafting = drafts.filter(({ sequence, failure }) => sequence.draft && !failure)
    if (drafting.length > 0) await this.#growTrees(drafting, pass)
    return drafts
  }

  async #growTrees(drafting: readonly SequenceDraft[], options: ForwardOptions): Promise<void> {
    const roots = drafting.map(({ sequence, width }) => ({
      sequence,
      tokens: sequence.tokens.subarray(-sequence.pending!.rows.length),
      width,
    }))
    const read = await this.#readPending(roots, options)
    let open = drafting.filter(({ width }) => width > 0)
    let candidates = read.filter((_, i) => drafting[i]!.width > 0)
    for (;;) {
      const next = expandAll(open, candidates)
      if (next.length === 0) return
      const frontiers = next.map(({ draft, frontier }) => ({ sequence: draft.sequence.draft!, frontier }))
      try {
        candidates = await this.#options.draft!.extend(frontiers, options)
      } catch (error) {
        // Trees are a wish: where the draft model has no room for deeper ones, these are verified.
        if (isCacheFull(error)) return
        throw error
      }
      open = next.map(({ draft }) => draft)
    }
  }

  /** Several sequences share what a pass costs, and the rows that there are. */
  #cut(drafts: readonly SequenceDraft[], { rate, maxRows = Infinity }: CycleOptions): PlannedTree[] {
    const { costs } = this.#options
    const planned = drafts.flatMap((draft): PlannedTree[] => {
      const own = draft.finish()
      return own ? [{ sequence: draft.sequence, own, tree: own }] : []
    })
    const rows = planned.reduce((sum, { own }) => sum + own.tokens.length, 0)
    const isWeighed = costs !== undefined && planned.length > 1
    if (rows <= maxRows && !isWeighed) return planned
    const trees = allocate({
      trees: planned.map(({ own }) => own),
      budget: Math.max(planned.length, Math.min(rows, maxRows)),
      acceptance: planned.map(
        ({ sequence: { policy }, own }) => policy.acceptance?.(own) ?? Float64Array.from(own.logProbs, Math.exp),
      ),
      ...(isWeighed && { verify: costs.verify, ...(rate !== undefined && { rate }) }),
    })
    return planned.map((plan, i) => ({ ...plan, tree: trees[i]! }))
  }

  /** Lets the draft model read what the target has computed since; returns the candidates of each last row. */
  #readPending(contexts: readonly PendingContext[], options: ForwardOptions): Promise<DraftCandidates[]> {
    const read = contexts.map(({ sequence, tokens, width }): DraftContext => {
      const { features, rows } = sequence.pending!
      return {
        sequence: sequence.draft!,
        tokens,
        features,
        featureRows: rows,
        width,
        ...(sequence.coupling && { coupling: sequence.coupling }),
      }
    })
    return this.#options.draft!.begin(read, options)
  }
}

interface PendingContext {
  readonly sequence: SpeculativeSequence
  /** The tokens that follow those whose features are pending. */
  readonly tokens: Uint32Array
  readonly width: number
}

interface PlannedTree {
  readonly sequence: SpeculativeSequence
  /** The tree that the policy has made, and will be told about. */
  readonly own: DraftTree
  /** What of it is verified. */
  readonly tree: DraftTree
}

/** Hands each draft its candidates; only sequences that want to go deeper remain. */
function expandAll(
  open: readonly SequenceDraft[],
  candidates: readonly DraftCandidates[],
): { readonly draft: SequenceDraft; readonly frontier: Frontier }[] {
  return open
    .map((draft, i) => ({ draft, frontier: draft.expand(candidates[i]!) }))
    .filter(({ frontier }) => frontier.tokens.length > 0)
}

function isCacheFull(error: unknown): boolean {
  return HassError.isInstance(error) && error.code === 'HASS_ERR_CACHE_FULL'
}

function chain(rows: number): Int32Array {
  return Int32Array.from({ length: rows }, (_, row) => row - 1)
}

function range(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i)
}
