import type { DraftTree, Verdict } from '@hass-engine/core'

/** What became of the trees of one text. */
export interface AcceptanceCounts {
  /** Target passes after the prefill, one a cycle. */
  readonly cycles: number
  /** Accepted and bonus tokens. */
  readonly emitted: number
  /** Nodes proposed, roots excluded. */
  readonly drafted: number
  /** Drafted nodes kept. */
  readonly accepted: number
  /** By depth d ≥ 1 at index d − 1: cycles whose tree reached that depth, and cycles that accepted there. */
  readonly depths: readonly { readonly drafted: number; readonly accepted: number }[]
}

/** Counts as cycles go by. */
export class AcceptanceTally {
  #cycles = 0
  #emitted = 0
  #drafted = 0
  #accepted = 0
  readonly #depths: { drafted: number; accepted: number }[] = []

  /** @param emitted those of the cycle's tokens that the text had room for */
  add({ tokens, depths }: DraftTree, { path }: Verdict, emitted: number): void {
    const accepted = Math.min(path.length - 1, emitted)
    this.#cycles++
    this.#emitted += emitted
    this.#drafted += tokens.length - 1
    this.#accepted += accepted
    const deepest = depths.reduce((most, depth) => Math.max(most, depth), 0)
    while (this.#depths.length < deepest) this.#depths.push({ drafted: 0, accepted: 0 })
    for (const [i, depth] of this.#depths.entries()) {
      if (i < deepest) depth.drafted++
      if (i < accepted) depth.accepted++
    }
  }

  get counts(): AcceptanceCounts {
    return {
      cycles: this.#cycles,
      emitted: this.#emitted,
      drafted: this.#drafted,
      accepted: this.#accepted,
      depths: this.#depths.map((depth) => ({ ...depth })),
    }
  }
}

/** Several texts' counts as one. */
export function sumAcceptance(counts: readonly AcceptanceCounts[]): AcceptanceCounts {
  const sum = (of: (one: AcceptanceCounts) => number) => counts.reduce((total, one) => total + of(one), 0)
  const deepest = counts.reduce((most, { depths }) => Math.max(most, depths.length), 0)
  return {
    cycles: sum(({ cycles }) => cycles),
    emitted: sum(({ emitted }) => emitted),
    drafted: sum(({ drafted }) => drafted),
    accepted: sum(({ accepted }) => accepted),
    depths: Array.from({ length: deepest }, (_, i) => ({
      drafted: sum(({ depths }) => depths[i]?.drafted ?? 0),
      accepted: sum(({ depths }) => depths[i]?.accepted ?? 0),
    })),
  }
}
