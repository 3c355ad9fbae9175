import { createDraftTree, type Token, type TreePolicy } from '@hass-engine/core'

/**
 * A policy in thirty lines: proposes the tokens that followed the last token where it stood before.
 *
 * It needs no draft model (`width` 0), and may be as wrong as it likes: the target emits what it would emit anyway.
 */
export function echo({ depth }: { readonly depth: number }): TreePolicy {
  return {
    name: 'echo',
    width: 0,
    maxNodes: depth,
    start({ root, history = [root], maxDepth = depth }) {
      const proposed = followersOf(root, Array.from(history)).slice(0, Math.min(depth, maxDepth))
      return {
        // Only policies with candidates of a draft model have a frontier.
        expand: () => ({ tokens: new Uint32Array(0), parents: new Uint32Array(0) }),
        // A chain: each node hangs on the one before it, the root on nothing.
        finish: () =>
          createDraftTree(
            [root, ...proposed],
            [root, ...proposed].map((_, node) => node - 1),
          ),
      }
    },
  }
}

/** What followed the last occurrence of `root` before the end of `history`. */
function followersOf(root: Token, history: readonly Token[]): readonly Token[] {
  const at = history.lastIndexOf(root, history.length - 2)
  return history.length < 2 || at < 0 ? [] : history.slice(at + 1)
}
