import { checkNumber, checkOptionKeys, exp, log, type Token, type Verifier } from '@hass-engine/core'
import { indexCandidates } from './candidate-tree.js'
import { draw, type RandomDraw, tokenOfUniform } from './random-draw.js'

export interface TypicalAcceptanceOptions {
  /** For the bonus token. */
  readonly random: RandomDraw
  /** Tokens with a probability above this are always accepted, ε of the paper. Defaults to 0.09. */
  readonly epsilon?: number
  /** So are tokens above this times exp(−entropy), δ of the paper. Defaults to 0.3. */
  readonly delta?: number
}

/**
 * Accepts what is plausible rather than what the target chose: a child whose target probability exceeds
 * min(ε, δ·exp(−H)) with H the entropy there (Medusa, arXiv 2401.10774, section 2.3.1). Of the accepted nodes the deepest counts, of
 * equally deep ones the first; the bonus token is drawn from the target's distribution after it.
 *
 * Lossy: the text does not have the target's distribution. At temperature 0 it is `exactMatch`.
 */
export function typicalAcceptance(options: TypicalAcceptanceOptions): Verifier<'lossy'> {
  checkOptionKeys(options, ['random', 'epsilon', 'delta'], 'typicalAcceptance')
  const { random } = options
  const epsilon = checkNumber(options.epsilon ?? 0.09, 'epsilon', { above: 0, max: 1 })
  const delta = checkNumber(options.delta ?? 0.3, 'delta', { above: 0 })
  return {
    name: 'typicalAcceptance',
    fidelity: 'lossy',
    async verify({ tree, target, rootPosition }) {
      const candidates = indexCandidates(tree)
      const accepted = [{ nodes: [0], path: [tree.tokens[0]!] as Token[] }]
      let deepest = { nodes: [0], length: 0, probs: new Float64Array() as Float64Array }
      // Breadth first, so that the first candidate of a new depth is the first of the deepest ones.
      for (const { nodes, path } of accepted) {
        const probs = await target.probs(nodes[0]!, path)
        if (path.length > deepest.length) deepest = { nodes, length: path.length, probs }
        const threshold = Math.min(epsilon, delta * exp(-entropy(probs)))
        for (const [token, children] of candidates.children(nodes)) {
          if ((probs[token] ?? 0) > threshold) accepted.push({ nodes: children, path: [...path, token] })
        }
      }
      const u = draw(random, rootPosition + deepest.length)
      return { path: candidates.pathTo(deepest.nodes[0]!), bonusToken: tokenOfUniform(deepest.probs, u) }
    },
  }
}

function entropy(probs: Float64Array): number {
  let sum = 0
  for (const prob of probs) if (prob > 0) sum -= prob * log(prob)
  return sum
}
