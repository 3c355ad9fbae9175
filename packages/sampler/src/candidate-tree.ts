import { type DraftTree, InvalidArgumentError, type Token } from '@hass-engine/core'

/**
 * A draft tree as verification sees it: nodes that spell the same text are one candidate, so siblings with equal
 * tokens are tried once and their children belong together.
 */
interface CandidateTree {
  /** The children of the candidate that `nodes` are, by token, in the order in which they stand in the tree. */
  children(nodes: readonly number[]): Map<Token, number[]>
  /** `[depth + 1]`, the nodes from the root to `node`. */
  pathTo(node: number): Uint32Array
}

/**
 * Indexes a draft tree by parent.
 *
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT` if a parent does not stand before its child
 */
export function indexCandidates({ tokens, parents }: DraftTree): CandidateTree {
  const firstChild = new Int32Array(tokens.length).fill(-1)
  const nextSibling = new Int32Array(tokens.length).fill(-1)
  for (let node = tokens.length - 1; node > 0; node--) {
    const parent = parents[node] ?? -1
    checkParent(node, parent)
    nextSibling[node] = firstChild[parent]!
    firstChild[parent] = node
  }
  if (parents[0] !== -1) throw rootError(parents[0])
  return {
    children(nodes) {
      const groups = new Map<Token, number[]>()
      for (const parent of nodes) {
        for (let node = firstChild[parent]!; node !== -1; node = nextSibling[node]!) {
          const group = groups.get(tokens[node]!)
          if (group) group.push(node)
          else groups.set(tokens[node]!, [node])
        }
      }
      return groups
    },
    pathTo(node) {
      const path: number[] = []
      for (let at = node; at !== -1; at = parents[at]!) path.push(at)
      return Uint32Array.from(path.reverse())
    },
  }
}

function checkParent(node: number, parent: number): void {
  if (parent >= 0 && parent < node) return
  throw new InvalidArgumentError(`Node ${node} of a draft tree has the parent ${parent}, expected 0 to ${node - 1}.`, {
    node,
    parent,
  })
}

function rootError(parent: number | undefined): InvalidArgumentError {
  return new InvalidArgumentError(`A draft tree's first node has the parent ${parent}, expected a root with -1.`, {
    node: 0,
    parent,
  })
}
