import { createDraftTree, type Token, type TreePolicy } from '@hass-engine/core'

/** Proposes, token after token, what was last seen behind each: a bigram table of the text so far, as a chain. */
export function successors({ depth }: { readonly depth: number }): TreePolicy {
  return {
    name: 'successors',
    width: 0,
    maxNodes: depth,
    start({ root, history = [root], maxDepth = depth }) {
      const next = new Map<Token, Token>()
      for (let at = 1; at < history.length; at++) next.set(history[at - 1]!, history[at]!)
      const chain = [root]
      while (chain.length <= Math.min(depth, maxDepth) && next.has(chain.at(-1)!)) chain.push(next.get(chain.at(-1)!)!)
      return {
        expand: () => ({ tokens: new Uint32Array(0), parents: new Uint32Array(0) }),
        finish: () =>
          createDraftTree(
            chain,
            chain.map((_, node) => node - 1),
          ),
      }
    },
  }
}
