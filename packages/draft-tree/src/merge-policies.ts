import {
  checkOptionKeys,
  type DraftTree,
  InvalidArgumentError,
  type TreeBuilder,
  type TreePolicy,
} from '@hass-engine/core'
import { checkNodes, limits } from './limits.js'
import { mergeTrees, projectVerdict, pruneTree } from './merge-trees.js'

export interface MergePoliciesOptions {
  /** Nodes of the united tree, the root excluded, 1 to 4096; the most probable stay. Defaults to 4096. */
  readonly maxNodes?: number
}

/**
 * A policy whose tree is the union of several policies' trees: a head's and one from the text itself, say.
 *
 * At most one of them may ask for a draft model (`width` above 0): a cycle has one numbering of draft rows. Each
 * policy observes what the verdict means for its own tree.
 *
 * @throws InvalidArgumentError if there is no policy, or more than one that drafts with a model
 */
export function mergePolicies(policies: readonly TreePolicy[], options: MergePoliciesOptions = {}): TreePolicy {
  checkOptionKeys(options, ['maxNodes'], 'mergePolicies')
  const maxNodes = checkNodes(options.maxNodes ?? limits.nodes, 'maxNodes')
  const heads = policies.filter((policy) => policy.width > 0)
  if (policies.length === 0 || heads.length > 1) {
    throw new InvalidArgumentError(
      `mergePolicies got ${policies.length} policies, ${heads.length} of them with a draft model; expected at least one policy, and one draft model at most.`,
      { policies: policies.map((policy) => policy.name) },
    )
  }
  const parts = new WeakMap<DraftTree, DraftTree[]>()
  return {
    name: policies.map((policy) => policy.name).join('+'),
    width: heads[0]?.width ?? 0,
    maxNodes: Math.min(
      maxNodes,
      policies.reduce((sum, policy) => sum + policy.maxNodes, 0),
    ),
    start(cycle): TreeBuilder {
      const builders = policies.map((policy) => policy.start(cycle))
      const drafting = builders[policies.findIndex((policy) => policy.width > 0)]
      return {
        expand: (candidates) =>
          drafting?.expand(candidates) ?? { tokens: new Uint32Array(0), parents: new Uint32Array(0) },
        finish() {
          const trees = builders.map((builder) => builder.finish())
          // A tree of its own, so that the parts of one union are never taken for another's.
          const united = pruneTree(trees.reduce(mergeTrees), maxNodes)
          parts.set(united, trees)
          return united
        },
      }
    },
    observe(tree, verdict) {
      const trees = parts.get(tree)
      for (const [i, policy] of policies.entries()) {
        const own = trees?.[i]
        policy.observe?.(own ?? tree, own ? projectVerdict(tree, verdict, own) : verdict)
      }
    },
  }
}
