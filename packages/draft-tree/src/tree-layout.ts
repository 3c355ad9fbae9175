import { checkNumber, type DraftTree, pathToNode } from '@hass-engine/core'

/** The children of each node, `[nodes]` lists in node order. */
export function childLists(tree: DraftTree): number[][] {
  const children: number[][] = Array.from(tree.tokens, () => [])
  for (let node = 1; node < tree.parents.length; node++) children[tree.parents[node]!]!.push(node)
  return children
}

/** What each node attends to besides the committed context: the nodes from the root to itself, `[nodes]` lists. */
export function ancestorLists(tree: DraftTree): Uint32Array[] {
  return Array.from(tree.tokens, (_, node) => pathToNode(tree, node))
}

/** `[nodes, nodes] uint8` row-major: 1 where the row's node attends to the column's, itself and ancestors. */
export function attentionMask(tree: DraftTree): Uint8Array {
  const nodes = tree.tokens.length
  const mask = new Uint8Array(nodes * nodes)
  for (let node = 0; node < nodes; node++) {
    const parent = tree.parents[node]!
    if (parent >= 0) mask.copyWithin(node * nodes, parent * nodes, parent * nodes + node)
    mask[node * nodes + node] = 1
  }
  return mask
}

/**
 * Absolute positions, `[nodes]`: each node stands its depth behind the root.
 *
 * @param rootPosition position of the root, which is the number of committed tokens before it
 */
export function positionIds(tree: DraftTree, rootPosition: number): Uint32Array {
  checkNumber(rootPosition, 'rootPosition', { min: 0, isInteger: true })
  return Uint32Array.from(tree.depths, (depth) => rootPosition + depth)
}

/** Root-to-leaf paths as one matrix. */
export interface RetrieveIndices {
  /** Leaves. */
  readonly rows: number
  /** Nodes of the longest path. */
  readonly width: number
  /** `[rows, width] int32` row-major, node numbers from the root, -1 behind a shorter path */
  readonly indices: Int32Array
}

/**
 * One path from the root per leaf, as the reference implementations gather logits by.
 *
 * @param order `'leaf'`: by the leaf's node number; `'path'`: lexicographically by the path's node numbers, with -1
 * behind all others. Defaults to `'leaf'`
 */
export function retrieveIndices(tree: DraftTree, order: 'leaf' | 'path' = 'leaf'): RetrieveIndices {
  const paths = childLists(tree)
    .flatMap((children, node) => (children.length === 0 ? [node] : []))
    .map((leaf) => pathToNode(tree, leaf))
  if (order === 'path') paths.sort(comparePaths)
  const width = paths.reduce((longest, path) => Math.max(longest, path.length), 0)
  const indices = new Int32Array(paths.length * width).fill(-1)
  for (const [row, path] of paths.entries()) indices.set(path, row * width)
  return { rows: paths.length, width, indices }
}

/** Paths to leaves: none is the beginning of another, so they differ before the shorter one ends. */
function comparePaths(a: Uint32Array, b: Uint32Array): number {
  let at = 0
  while (a[at] === b[at]) at++
  return a[at]! - b[at]!
}
