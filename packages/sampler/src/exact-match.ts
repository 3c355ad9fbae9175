import type { Token, Verifier } from '@hass-engine/core'
import { indexCandidates } from './candidate-tree.js'

/**
 * The default rule, for greedy decoding and sampling alike: the target chooses after each node, and the walk goes on
 * while its choice is a child. The first choice that is none is the bonus token.
 *
 * The text is the target's own: no draft, tree or batch can change it.
 */
export function exactMatch(): Verifier<'lossless'> {
  return {
    name: 'exactMatch',
    fidelity: 'lossless',
    async verify({ tree, target }) {
      const candidates = indexCandidates(tree)
      const path: Token[] = [tree.tokens[0]!]
      let nodes = [0]
      for (;;) {
        const choice = await target.choose(nodes[0]!, path)
        const next = candidates.children(nodes).get(choice)
        if (!next) return { path: candidates.pathTo(nodes[0]!), bonusToken: choice }
        path.push(choice)
        nodes = next
      }
    },
  }
}
