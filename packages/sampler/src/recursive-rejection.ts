import { checkOptionKeys, type Token, type Verifier } from '@hass-engine/core'
import { indexCandidates } from './candidate-tree.js'
import { draw, type RandomDraw, tokenOfUniform } from './random-draw.js'

export interface RecursiveRejectionOptions {
  readonly random: RandomDraw
}

/**
 * The rule of EAGLE and HASS for sampled drafts (arXiv 2408.15766; speculative sampling with a draft that
 * is certain of each candidate): children are tried in tree order, each accepted with its target probability; a
 * rejected one is removed and the rest renormalised. When none is accepted the bonus token comes from what is left.
 *
 * Unlike the published code it draws the bonus token after full acceptance from the processed distribution too.
 */
export function recursiveRejection(options: RecursiveRejectionOptions): Verifier<'lossless'> {
  checkOptionKeys(options, ['random'], 'recursiveRejection')
  const { random } = options
  return {
    name: 'recursiveRejection',
    fidelity: 'lossless',
    async verify({ tree, target, rootPosition }) {
      const candidates = indexCandidates(tree)
      const path: Token[] = [tree.tokens[0]!]
      let nodes = [0]
      for (;;) {
        const position = rootPosition + path.length
        const probs = await target.probs(nodes[0]!, path)
        let accepted: number[] | undefined
        for (const [token, children] of candidates.children(nodes)) {
          if (draw(random, position, token) < (probs[token] ?? 0) || !removeToken(probs, token)) {
            path.push(token)
            accepted = children
            break
          }
        }
        if (!accepted) {
          return { path: candidates.pathTo(nodes[0]!), bonusToken: tokenOfUniform(probs, draw(random, position)) }
        }
        nodes = accepted
      }
    },
  }
}

/** Removes a token and renormalises; false, and nothing changed, if that would leave nothing. */
function removeToken(probs: Float64Array, token: Token): boolean {
  const prob = probs[token] ?? 0
  if (prob === 0) return true
  probs[token] = 0
  let rest = 0
  for (let i = 0; i < probs.length; i++) rest += probs[i]!
  if (rest === 0) {
    probs[token] = prob
    return false
  }
  for (let i = 0; i < probs.length; i++) probs[i]! /= rest
  return true
}
