import {
  checkOptionKeys,
  type Frontier,
  InvalidArgumentError,
  type TreeBuilder,
  type TreePolicy,
} from '@hass-engine/core'
import { CandidateTree, rootCandidate } from './candidate-tree.js'
import { TreeShapeError } from './errors.js'
import { checkDepth, levelsOf, limits } from './limits.js'

/**
 * A fixed shape, in one of two spellings. A rank says which candidate of its parent a node takes, 0 the best.
 */
export type StaticTreeOptions =
  | {
      /**
       * The ranks on the way from the root to each node, the root itself left out: `[[0], [1], [0, 0]]`. Every
       * node's parent must be listed too, in any order; nodes are ordered by depth, then by their ranks.
       */
      readonly paths: readonly (readonly number[])[]
    }
  | {
      /** `[nodes]`, -1 at node 0, the root; a parent stands before its children. Nodes keep this order. */
      readonly parents: ArrayLike<number>
      /** `[nodes]`, entry 0 is not read */
      readonly ranks: ArrayLike<number>
    }

export interface ChainOptions {
  /** Nodes of the chain, 1 to 128. Defaults to 5. */
  readonly depth?: number
}

/**
 * A tree of a fixed shape, as in EAGLE-1 and Medusa. A node whose candidate does not come is left out, with what
 * hangs on it.
 *
 * @throws TreeShapeError `HASS_ERR_TREE_SHAPE` for a shape that is no tree, naming the node
 * @throws InvalidArgumentError for an unknown option, or neither or both spellings
 */
export function staticTree(options: StaticTreeOptions): TreePolicy {
  checkOptionKeys(options, ['paths', 'parents', 'ranks'], 'staticTree')
  const { paths, parents, ranks } = options as {
    paths?: readonly (readonly number[])[]
    parents?: ArrayLike<number>
    ranks?: ArrayLike<number>
  }
  if (paths !== undefined && parents === undefined && ranks === undefined) {
    return shapePolicy('static', shapeOfPaths(paths))
  }
  if (paths === undefined && parents !== undefined && ranks !== undefined) {
    return shapePolicy('static', shapeOfParents(parents, ranks))
  }
  throw new InvalidArgumentError('staticTree wants either paths, or parents and ranks.', {
    given: Object.keys(options),
  })
}

/** The best candidate of each level alone: the tree of classic speculative decoding. */
export function chain(options: ChainOptions = {}): TreePolicy {
  checkOptionKeys(options, ['depth'], 'chain')
  const depth = checkDepth(options.depth ?? 5, 'depth')
  return shapePolicy('chain', {
    parents: Int32Array.from({ length: depth + 1 }, (_, node) => node - 1),
    ranks: new Uint16Array(depth + 1),
    depths: Uint16Array.from({ length: depth + 1 }, (_, node) => node),
  })
}

/** Topologically ordered; node 0 is the root. */
interface Shape {
  readonly parents: Int32Array
  readonly ranks: Uint16Array
  readonly depths: Uint16Array
}

function shapePolicy(name: string, shape: Shape): TreePolicy {
  const { parents, ranks, depths } = shape
  const nodes = parents.length
  const hasChildren = new Uint8Array(nodes)
  for (let node = 1; node < nodes; node++) hasChildren[parents[node]!] = 1
  const levels = depths.reduce((deepest, depth) => Math.max(deepest, depth), 0)
  const width = 1 + ranks.subarray(1).reduce((largest, rank) => Math.max(largest, rank), 0)

  return {
    name,
    width,
    maxNodes: nodes - 1,
    start(cycle): TreeBuilder {
      const tree = new CandidateTree(cycle.root)
      const deepest = levelsOf(cycle, levels)
      const absent = -2
      const candidateOf = new Int32Array(nodes).fill(absent)
      candidateOf[0] = rootCandidate
      const rowOf = new Int32Array(nodes)
      return {
        expand(candidates): Frontier {
          if (tree.hasEnded || deepest === 0) return tree.extend([])
          tree.take(candidates, width)
          const frontier: number[] = []
          for (let node = 1; node < nodes; node++) {
            const parent = parents[node]!
            if (depths[node] !== tree.level || candidateOf[parent] === absent) continue
            const candidate = tree.rowStarts[rowOf[parent]!]! + ranks[node]!
            if (candidate >= tree.rowStarts[rowOf[parent]! + 1]!) continue
            candidateOf[node] = candidate
            if (!hasChildren[node] || tree.level === deepest) continue
            rowOf[node] = tree.rowCandidates.length + frontier.length
            frontier.push(candidate)
          }
          return tree.extend(frontier)
        },
        finish: () => tree.toDraftTree(candidateOf.filter((candidate) => candidate >= 0)),
      }
    },
  }
}

function shapeOfPaths(paths: readonly (readonly number[])[]): Shape {
  const sorted = [...paths].sort((a, b) => a.length - b.length || compareRanks(a, b))
  const nodeOf = new Map([['', 0]])
  const parents = [-1]
  const ranks = [0]
  for (const path of sorted) {
    const parent = nodeOf.get(path.slice(0, -1).join(' '))
    if (path.length === 0 || parent === undefined) {
      throw new TreeShapeError(
        `The path [${path}] of a static tree has no parent among the paths; list every prefix, but not the root.`,
        { path },
      )
    }
    nodeOf.set(path.join(' '), parents.length)
    parents.push(parent)
    ranks.push(path[path.length - 1]!)
  }
  return shapeOfParents(parents, ranks)
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((rank, i) => rank !== b[i])
  return at === -1 ? 0 : a[at]! - b[at]!
}

function shapeOfParents(parents: ArrayLike<number>, ranks: ArrayLike<number>): Shape {
  const nodes = parents.length
  if (nodes < 2 || nodes > limits.nodes + 1 || ranks.length !== nodes) {
    throw new TreeShapeError(
      `A static tree has ${nodes} parents and ${ranks.length} ranks; expected the same number of both, 2 to ${limits.nodes + 1} with the root.`,
      { parents: nodes, ranks: ranks.length },
    )
  }
  const depths = new Uint16Array(nodes)
  const seen = new Set<string>()
  for (let node = 0; node < nodes; node++) {
    const parent = parents[node]!
    const rank = node === 0 ? 0 : ranks[node]!
    const wrong = faultOf(node, parent, rank)
    if (wrong) throw new TreeShapeError(`Node ${node} of a static tree has ${wrong}.`, { node, parent, rank })
    if (node === 0) continue
    depths[node] = depths[parent]! + 1
    if (depths[node]! > limits.depth) {
      throw new TreeShapeError(`Node ${node} of a static tree is deeper than ${limits.depth}.`, { node, parent, rank })
    }
    if (seen.has(`${parent} ${rank}`)) {
      throw new TreeShapeError(`Node ${node} of a static tree repeats rank ${rank} of node ${parent}.`, {
        node,
        parent,
        rank,
      })
    }
    seen.add(`${parent} ${rank}`)
  }
  return { parents: Int32Array.from(parents), ranks: Uint16Array.from(ranks), depths }
}

function faultOf(node: number, parent: number, rank: number): string | undefined {
  if (node === 0) return parent === -1 ? undefined : `the parent ${parent}, expected -1: it is the root`
  if (!Number.isInteger(parent) || parent < 0 || parent >= node) {
    return `the parent ${parent}, expected 0 to ${node - 1}: parents stand before their children`
  }
  if (!Number.isInteger(rank) || rank < 0 || rank >= limits.topK) {
    return `the rank ${rank}, expected 0 to ${limits.topK - 1}`
  }
  return undefined
}
