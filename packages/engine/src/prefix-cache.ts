import type { Token } from '@hass-engine/core'
import type { SequenceModels } from './speculative-sequence.js'

interface Entry extends SequenceModels {
  /** The tokens of the target's rows. */
  readonly tokens: ArrayLike<Token>
}

/**
 * Caches of texts that have ended, the least recently used first: a conversation's next turn begins with all that was
 * computed for its last one. Rows are shared, not copied, and a shared row has the bits of a computed one.
 */
export class PrefixCache {
  readonly #capacity: number
  readonly #entries: Entry[] = []

  /** @param capacity texts that are kept at most; 0 keeps none */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Takes over the caches of a text; what is no committed row of them is freed. */
  keep(tokens: ArrayLike<Token>, caches: SequenceModels): void {
    const { target, draft } = caches
    const canKeep = this.#capacity > 0 && target.length > 0 && target.fork
    const entry = canKeep && {
      tokens: Uint32Array.from(tokens).slice(0, target.length),
      target: target.fork!({ length: target.length }),
      // A fork has no drafted rows.
      draft: draft?.fork?.({ length: draft.length }),
    }
    target.dispose()
    draft?.dispose()
    if (!entry) return
    for (const old of this.#entries.filter((other) => makesNeedless(entry, other))) this.#drop(old)
    this.#entries.push(entry)
    while (this.#entries.length > this.#capacity) this.evict()
  }

  /**
   * Caches for a new text that hold as many of its rows as any kept text has; undefined if none does.
   *
   * At least one token is left to be computed, since its logits are wanted; and a draft row has read one token more
   * than a target row, so that the last shared token gives no row.
   */
  share(tokens: ArrayLike<Token>, needsDraft: boolean): SequenceModels | undefined {
    let best: { readonly entry: Entry; readonly rows: number } | undefined
    for (const entry of this.#entries) {
      const known = commonLength(entry.tokens, tokens)
      const drafted = needsDraft ? (entry.draft?.fork ? entry.draft.length : 0) : Infinity
      const rows = Math.min(known - (needsDraft ? 1 : 0), tokens.length - 1, entry.target.length, drafted)
      if (rows > 0 && rows > (best?.rows ?? 0)) best = { entry, rows }
    }
    if (!best) return undefined
    const { entry, rows } = best
    this.#entries.splice(this.#entries.indexOf(entry), 1)
    this.#entries.push(entry)
    return {
      target: entry.target.fork!({ length: rows }),
      draft: needsDraft ? entry.draft!.fork!({ length: rows }) : undefined,
    }
  }

  /** Frees the least recently used text; false if there is none. */
  evict(): boolean {
    const oldest = this.#entries[0]
    if (oldest) this.#drop(oldest)
    return oldest !== undefined
  }

  clear(): void {
    while (this.evict());
  }

  #drop(entry: Entry): void {
    this.#entries.splice(this.#entries.indexOf(entry), 1)
    entry.target.dispose()
    entry.draft?.dispose()
  }
}

/** Whether all that an old entry could give, a new one gives too. */
function makesNeedless(entry: Entry, old: Entry): boolean {
  const isPrefix = commonLength(old.tokens, entry.tokens) === old.tokens.length
  return isPrefix && (entry.draft?.length ?? 0) >= (old.draft?.length ?? 0)
}

function commonLength(a: ArrayLike<Token>, b: ArrayLike<Token>): number {
  const limit = Math.min(a.length, b.length)
  for (let i = 0; i < limit; i++) if (a[i] !== b[i]) return i
  return limit
}
