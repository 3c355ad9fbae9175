import { checkNumber, checkOptionKeys, type TreeBuilder, type TreePolicy } from '@hass-engine/core'
import { bestIndices } from './best.js'
import { CandidateTree } from './candidate-tree.js'
import { checkNodes, checkTopK, levelsOf, limits } from './limits.js'

export interface DynamicTreeOptions {
  /** Candidates per row, and rows of a frontier, 1 to 128. Defaults to 10. */
  readonly topK?: number
  /** Draft passes after the root's: leaves lie up to depth + 1 below the root, 0 to 127. Defaults to 5. */
  readonly depth?: number
  /** Nodes of the tree, the root excluded, 1 to 4096. Defaults to 59. */
  readonly maxNodes?: number
}

/**
 * The dynamic tree of EAGLE-2 and HASS: the frontier is the `topK` best candidates of the last level by cumulative
 * log-probability, and of all candidates ever produced the best `maxNodes` are kept, in the order of their numbers.
 * Equal scores: the earlier candidate.
 *
 * Source: EAGLE-2 (arXiv 2406.16858) §4; HASS (arXiv 2408.15766) §4.
 *
 * @throws InvalidArgumentError for an unknown option or a number out of bounds
 */
export function dynamicTree(options: DynamicTreeOptions = {}): TreePolicy {
  checkOptionKeys(options, ['topK', 'depth', 'maxNodes'], 'dynamicTree')
  const topK = checkTopK(options.topK ?? 10, 'topK')
  const depth = checkNumber(options.depth ?? 5, 'depth', { min: 0, max: limits.depth - 1, isInteger: true })
  const maxNodes = checkNodes(options.maxNodes ?? 59, 'maxNodes')
  return {
    name: 'dynamic',
    width: topK,
    maxNodes,
    start(cycle): TreeBuilder {
      const tree = new CandidateTree(cycle.root)
      const levels = levelsOf(cycle, depth + 1)
      return {
        expand(candidates) {
          if (tree.hasEnded || levels === 0) return tree.extend([])
          const from = tree.take(candidates, topK)
          return tree.extend(tree.level < levels ? bestIndices(tree.scores, topK, from, tree.count) : [])
        },
        // Closed under parents: a parent scores no less than its child and stands before it.
        finish: () => tree.toDraftTree(bestIndices(tree.scores, maxNodes, 0, tree.count).sort()),
      }
    },
  }
}
