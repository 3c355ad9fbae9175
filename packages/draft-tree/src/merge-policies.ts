import {
  checkOptionKeys,
  type DraftCycle,
  type DraftTree,
  InvalidArgumentError,
  type TreeBuilder,
  type TreePolicy,
} from '@hass-engine/core'
import { bestIndices } from './best.js'
import { CostCache } from './cost-curve.js'
import { checkNodes, limits } from './limits.js'
import { mergeTrees, projectVerdict } from './merge-trees.js'
import { bestNodeCount, priceOfTime } from './row-budget.js'
import { monotoneValues, subtree } from './subtree.js'

export interface MergePoliciesOptions {
  /** Nodes of the united tree, the root excluded, 1 to 4096; those that are likeliest accepted stay. Defaults to 4096. */
  readonly maxNodes?: number
}

/**
 * A policy whose tree is the union of several policies' trees: a head's and one from the text itself, say.
 *
 * A node is as likely accepted as the most hopeful of its policies holds it to be. Where a cycle brings cost tables,
 * nodes stay while Δtokens > rate · Δms, as in `costAware`: a single policy that knows no costs learns to count by
 * being the only one here.
 *
 * At most one of the policies may ask for a draft model (`width` above 0): a cycle has one numbering of draft rows. Each
 * policy observes what the verdict means for its own tree.
 *
 * @throws InvalidArgumentError if there is no policy, or more than one that drafts with a model
 */
export function mergePolicies(policies: readonly TreePolicy[], options: MergePoliciesOptions = {}): TreePolicy {
  checkOptionKeys(options, ['maxNodes'], 'mergePolicies')
  const heads = policies.filter((policy) => policy.width > 0)
  const maxNodes = Math.min(
    checkNodes(options.maxNodes ?? limits.nodes, 'maxNodes'),
    policies.reduce((sum, policy) => sum + policy.maxNodes, 0),
  )
  if (policies.length === 0 || heads.length > 1) {
    throw new InvalidArgumentError(
      `mergePolicies got ${policies.length} policies, ${heads.length} of them with a draft model; expected at least one policy, and one draft model at most.`,
      { policies: policies.map((policy) => policy.name) },
    )
  }
  const costCache = new CostCache(maxNodes + 1, 1)
  const unions = new WeakMap<DraftTree, { readonly parts: readonly DraftTree[]; readonly acceptance: Float64Array }>()

  /** What the policies without a draft model bring to the one that has it. */
  function freeNodes(parts: readonly (DraftTree | undefined)[]): Pick<DraftCycle, 'free'> {
    const hopes = parts.flatMap((part, i) => (part ? [hopeOf(policies[i]!, part)] : []))
    if (hopes.length === 0) return {}
    const tree = hopes.reduce(mergeTrees)
    const acceptance = monotoneValues(tree, tree.logProbs).map(Math.exp)
    acceptance[0] = 1
    return { free: { tree, acceptance } }
  }

  function unite(parts: readonly DraftTree[], cycle: DraftCycle): DraftTree {
    const hopes = parts.map((tree, i) => hopeOf(policies[i]!, tree))
    const whole = parts.reduce(mergeTrees)
    // The same nodes in the same order, since only the numbers differ.
    const { logProbs } = hopes.reduce(mergeTrees)
    const values = monotoneValues(whole, logProbs).map(Math.exp)
    const best = bestIndices(values, maxNodes + 1)
    const gains = Array.from(best.subarray(1), (node) => values[node]!)
    const nodes = countNodes(gains, cycle)
    const kept = best.subarray(0, nodes + 1).sort()
    // A tree of its own, so that the parts of one union are never taken for another's.
    const united = subtree(whole, kept)
    unions.set(united, { parts, acceptance: Float64Array.from(kept, (node) => (node === 0 ? 1 : values[node]!)) })
    return united
  }

  function countNodes(gains: readonly number[], { costs, rate }: DraftCycle): number {
    if (!costs) return gains.length
    const { verify } = costCache.get(costs)
    return bestNodeCount(gains, verify, priceOfTime(rate, verify[1]!), 1, gains.length).nodes
  }

  return {
    name: policies.map((policy) => policy.name).join('+'),
    width: heads[0]?.width ?? 0,
    maxNodes,
    start(cycle): TreeBuilder {
      const drafted = policies.findIndex((policy) => policy.width > 0)
      const parts = policies.map((policy, i) => (i === drafted ? undefined : policy.start(cycle).finish()))
      const drafting = policies[drafted]?.start({ ...cycle, ...freeNodes(parts) })
      return {
        ...(drafting?.width !== undefined && { width: drafting.width }),
        expand: (candidates) =>
          drafting?.expand(candidates) ?? { tokens: new Uint32Array(0), parents: new Uint32Array(0) },
        finish: () =>
          unite(
            parts.map((part) => part ?? drafting!.finish()),
            cycle,
          ),
      }
    },
    observe(tree, verdict) {
      const parts = unions.get(tree)?.parts
      for (const [i, policy] of policies.entries()) {
        const own = parts?.[i]
        policy.observe?.(own ?? tree, own ? projectVerdict(tree, verdict, own) : verdict)
      }
    },
    acceptance: (tree) => unions.get(tree)?.acceptance ?? Float64Array.from(tree.logProbs, Math.exp),
  }
}

/** A policy's tree, with the natural log of how likely the policy holds each node to be accepted. */
function hopeOf(policy: TreePolicy, tree: DraftTree): DraftTree {
  const acceptance = policy.acceptance?.(tree)
  return acceptance ? { ...tree, logProbs: Float32Array.from(acceptance, Math.log) } : tree
}
