import type { DraftCandidates, DraftContext, DraftFrontier, DraftModel, ModelSequence, Token } from '@hass-engine/core'
import { concat, linear, rowOf } from './arithmetic.js'
import { type KvEntry, type LayerShape, type LayerWeights, runLayer } from './decoder-layer.js'
import type { OwnTargetWeights } from './own-target.js'

export interface OwnHeadWeights {
  readonly shape: LayerShape
  /** `[vocabSize, hiddenSize]`, the copy in the head's own file: it may be rounded. Absent: the target's. */
  readonly embedding?: Float32Array
  /** `[hiddenSize, 2 · hiddenSize]`: the embedding's half comes first. */
  readonly fc: { readonly weight: Float32Array; readonly bias?: Float32Array }
  readonly layer: LayerWeights
}

/** Ranks one row of draft logits `[vocabSize]`; the position is that of the token to be guessed. */
export type RankCandidates = (row: { logits: Float32Array; context: DraftContext; position: number }) => DraftCandidates

/** One row of the head: what it saw, and the feature that it predicts. */
interface HeadRow {
  readonly path: readonly KvEntry[]
  readonly feature: Float32Array
}

/**
 * The HASS draft head (hass paper, section 3; EAGLE's architecture): one decoder layer that reads the next token's
 * embedding beside the current feature, and predicts the next feature. `lmHead` is the target's.
 */
export function createOwnDraft(target: OwnTargetWeights, head: OwnHeadWeights, rank: RankCandidates): DraftModel {
  const { embedding = target.embedding } = head
  return {
    createSequence: () => new OwnDraftSequence(),
    async begin(contexts, options) {
      options?.signal?.throwIfAborted()
      return Promise.all(contexts.map(begin))
    },
    async extend(frontiers, options) {
      options?.signal?.throwIfAborted()
      return frontiers.map(extend)
    },
  }

  async function begin(context: DraftContext): Promise<DraftCandidates> {
    const sequence = context.sequence as OwnDraftSequence
    let last: HeadRow | undefined
    for (const [i, token] of context.tokens.entries()) {
      const feature = await context.features.read(context.featureRows[i]!)
      last = runRow(token, feature, sequence.committed)
      sequence.committed = last.path
    }
    sequence.context = context
    sequence.rows = [last!]
    return candidatesOf(sequence, [last!])
  }

  function extend({ sequence: anySequence, frontier }: DraftFrontier): DraftCandidates {
    const sequence = anySequence as OwnDraftSequence
    const rows = Array.from(frontier.tokens, (token, i) => {
      const parent = sequence.rows[frontier.parents[i]!]!
      return runRow(token, parent.feature, parent.path)
    })
    sequence.rows.push(...rows)
    return candidatesOf(sequence, rows)
  }

  function runRow(token: Token, feature: Float32Array, context: readonly KvEntry[]): HeadRow {
    const input = linear(head.fc.weight, concat(rowOf(embedding, token, feature.length), feature), head.fc.bias)
    const { x, entry } = runLayer(input, context.length, context, head.layer, head.shape)
    return { path: [...context, entry], feature: x }
  }

  function candidatesOf({ context }: OwnDraftSequence, rows: readonly HeadRow[]): DraftCandidates {
    const { width } = context!
    const tokens = new Uint32Array(rows.length * width)
    const logProbs = new Float32Array(rows.length * width)
    if (width === 0) return { rows: rows.length, width, tokens, logProbs }
    for (const [i, { feature, path }] of rows.entries()) {
      // A head of n rows has read the tokens 1 … n, so that it guesses token n + 1.
      const ranked = rank({ logits: linear(target.lmHead, feature), context: context!, position: path.length + 1 })
      tokens.set(ranked.tokens, i * width)
      logProbs.set(ranked.logProbs, i * width)
    }
    return { rows: rows.length, width, tokens, logProbs }
  }
}

class OwnDraftSequence implements ModelSequence {
  committed: readonly KvEntry[] = []
  rows: HeadRow[] = []
  context: DraftContext | undefined

  get length(): number {
    return this.committed.length
  }

  dispose(): void {
    this.committed = []
    this.rows = []
  }
}
