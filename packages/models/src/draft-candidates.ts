import type { ChoiceRule, DraftCandidates, Token } from '@hass-engine/core'
import { coupledCandidates } from '@hass-engine/draft-tree'
import { createNoiseField, type NoiseField } from '@hass-engine/sampler'

/** The most probable tokens of one row as the device ranked them, best first. */
export interface RankedRow {
  /** `[pool]` ids of the target */
  readonly tokens: ArrayLike<Token>
  /** `[pool]`, log q over the whole draft vocabulary, at the rule's temperature where candidates are coupled */
  readonly logProbs: Float32Array
  /** Absolute index of the token that follows the row. */
  readonly position: number
}

/** How one sequence's candidates are chosen in this cycle. */
export class CandidateRule {
  readonly width: number
  /** What logits are divided by before they are ranked. */
  readonly temperature: number
  readonly #coupling: ChoiceRule | undefined
  readonly #noise: NoiseField | undefined

  constructor(width: number, coupling: ChoiceRule | undefined) {
    this.width = width
    const isCoupled = coupling !== undefined && coupling.temperature > 0
    this.temperature = isCoupled ? coupling.temperature : 1
    this.#coupling = isCoupled ? coupling : undefined
    this.#noise = isCoupled ? createNoiseField(coupling.seed) : undefined
  }

  /** The candidates of some rows, `[rows, width]`; impossible ones where fewer than `width` were ranked. */
  candidates(rows: readonly RankedRow[]): DraftCandidates {
    const { width } = this
    const tokens = new Uint32Array(rows.length * width)
    const logProbs = new Float32Array(rows.length * width).fill(-Infinity)
    for (const [i, row] of rows.entries()) {
      const best = this.#noise ? this.#couple(row, this.#noise) : row
      const count = Math.min(width, best.tokens.length)
      for (let rank = 0; rank < count; rank++) {
        tokens[i * width + rank] = best.tokens[rank]!
        logProbs[i * width + rank] = best.logProbs[rank]!
      }
    }
    return { rows: rows.length, width, tokens, logProbs }
  }

  /**
   * Noise is that of the target's ids, so it is asked for by them. Cuts count what was ranked as the whole
   * distribution: on a flat one topP cuts a little more than the target does.
   */
  #couple(row: RankedRow, noise: NoiseField): Pick<RankedRow, 'tokens' | 'logProbs'> {
    const { topK, topP, minP } = this.#coupling!
    const pool = row.tokens.length
    const { tokens, logProbs } = coupledCandidates({
      logits: row.logProbs,
      rows: 1,
      vocabSize: pool,
      width: this.width,
      pool,
      positions: [row.position],
      noise: (position, i) => noise.gumbel(position, row.tokens[i]!),
      // The temperature has been applied: these are log q already.
      rule: {
        temperature: 1,
        ...(topK !== undefined && { topK }),
        ...(topP !== undefined && { topP }),
        ...(minP !== undefined && { minP }),
      },
    })
    // What the cuts leave of the width are impossible candidates, of no token in particular.
    return { tokens: tokens.map((i, rank) => (logProbs[rank]! > -Infinity ? row.tokens[i]! : 0)), logProbs }
  }
}
