import type { ProcessorName, SamplerOptions } from '../index.js'

type Context = readonly number[]
type Entry = { id: number; logit: number }

/** The processors once more, written as their definitions read: with sorts and copies, for a handful of tokens. */
const steps: Partial<Record<ProcessorName, (entries: Entry[], value: never, context: Context) => Entry[]>> = {
  temperature: (entries, value: number) => entries.map(({ id, logit }) => ({ id, logit: logit / value })),
  topK: (entries, value: number) => byLogit(entries).slice(0, value),
  topP: (entries, value: number) => prefixOfMass(byLogit(entries), probsOf(entries), value),
  minP(entries, value: number) {
    const probs = probsOf(entries)
    const largest = Math.max(...probs.values())
    return entries.filter(({ id }) => probs.get(id)! >= value * largest)
  },
  typicalP(entries, value: number) {
    const probs = probsOf(entries)
    const entropy = [...probs.values()].reduce((sum, prob) => sum - prob * Math.log(prob), 0)
    const distance = ({ id }: Entry) => Math.abs(-Math.log(probs.get(id)!) - entropy)
    return prefixOfMass(
      [...entries].sort((a, b) => distance(a) - distance(b)),
      probs,
      value,
    )
  },
  repetitionPenalty: (entries, value: number, context) =>
    entries.map(({ id, logit }) => {
      if (!context.includes(id)) return { id, logit }
      return { id, logit: logit > 0 ? logit / value : logit * value }
    }),
  presencePenalty: (entries, value: number, context) =>
    entries.map(({ id, logit }) => ({ id, logit: context.includes(id) ? logit - value : logit })),
  frequencyPenalty: (entries, value: number, context) =>
    entries.map(({ id, logit }) => ({ id, logit: logit - value * context.filter((token) => token === id).length })),
  logitBias: (entries, value: Record<number, number>) =>
    entries.map(({ id, logit }) => ({ id, logit: logit + (value[id] ?? 0) })),
  bannedTokens: (entries, value: number[]) => entries.filter(({ id }) => !value.includes(id)),
}

const order = Object.keys({
  repetitionPenalty: 0,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: 0,
  bannedTokens: 0,
  temperature: 0,
  topK: 0,
  topP: 0,
  minP: 0,
  typicalP: 0,
}) as ProcessorName[]

/** `[vocabSize]`, the distribution after a context, computed independently of the package's processors. */
export function naiveProbs(logits: ArrayLike<number>, options: SamplerOptions, context: Context): number[] {
  let entries: Entry[] = Array.from(logits, (logit, id) => ({ id, logit }))
  for (const name of options.order ?? order) {
    const value = options[name]
    if (value !== undefined) entries = steps[name]!(entries, value as never, context)
  }
  const probs = probsOf(entries)
  return Array.from(logits, (_, id) => probs.get(id) ?? 0)
}

function byLogit(entries: Entry[]): Entry[] {
  return [...entries].sort((a, b) => b.logit - a.logit || a.id - b.id)
}

function probsOf(entries: Entry[]): Map<number, number> {
  const largest = Math.max(...entries.map(({ logit }) => logit))
  const weights = entries.map(({ logit }) => Math.exp(logit - largest))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return new Map(entries.map(({ id }, i) => [id, weights[i]! / total]))
}

function prefixOfMass(sorted: Entry[], probs: Map<number, number>, mass: number): Entry[] {
  const kept: Entry[] = []
  let sum = 0
  for (const entry of sorted) {
    if (sum >= mass) break
    kept.push(entry)
    sum += probs.get(entry.id)!
  }
  return kept
}
