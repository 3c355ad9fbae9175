import type { SpeculationStatistics } from '@hass-engine/core'
import type { SpeculationCycle } from './speculation.js'

/** Counts what speculation did for one generation; the first token, which the prefill chose, is none of it. */
export class StatisticsCounter {
  #drafted = 0
  #accepted = 0
  #emitted = 0
  #targetCalls = 0
  #draftMs = 0
  #verifyMs = 0
  #totalMs = 0
  readonly #depths: { drafted: number; accepted: number }[] = []

  /**
   * @param emitted tokens of the cycle that became part of the output: fewer than it emitted where the output ends
   * @param totalMs the whole cycle, from one to the next
   */
  add({ tree, verdict, draftMs, verifyMs }: SpeculationCycle, emitted: number, totalMs: number): void {
    const accepted = Math.min(verdict.path.length - 1, emitted)
    this.#drafted += tree.tokens.length - 1
    this.#accepted += accepted
    this.#emitted += emitted
    this.#targetCalls += 1
    this.#draftMs += draftMs
    this.#verifyMs += verifyMs
    this.#totalMs += totalMs
    const deepest = tree.depths.reduce((max, depth) => Math.max(max, depth), 0)
    for (let depth = 1; depth <= deepest; depth++) {
      this.#depths[depth - 1] ??= { drafted: 0, accepted: 0 }
      this.#depths[depth - 1]!.drafted += 1
      if (depth <= accepted) this.#depths[depth - 1]!.accepted += 1
    }
  }

  get totalMs(): number {
    return this.#totalMs
  }

  get result(): SpeculationStatistics {
    return {
      drafted: this.#drafted,
      accepted: this.#accepted,
      emitted: this.#emitted,
      targetCalls: this.#targetCalls,
      acceptanceLength: this.#targetCalls === 0 ? 0 : this.#emitted / this.#targetCalls,
      depths: this.#depths.map((depth) => ({ ...depth })),
      draftMs: this.#draftMs,
      verifyMs: this.#verifyMs,
      otherMs: Math.max(0, this.#totalMs - this.#draftMs - this.#verifyMs),
    }
  }
}
