import type { TreePolicy } from '@hass-engine/core'
import { chain, costAware, dynamicTree } from '@hass-engine/draft-tree'
import type { HeadSetting } from '@hass-engine/trainer'
import { UsageError } from '../errors.js'

/** What `--trees` may name: a kind, and the nodes of the tree. */
const kinds: Readonly<Record<string, (nodes: number) => TreePolicy>> = {
  chain: (nodes) => chain({ depth: nodes }),
  tree: (nodes) => dynamicTree({ maxNodes: nodes }),
  'cost-aware': (nodes) => costAware({ maxNodes: nodes }),
}

export const defaultTrees: readonly string[] = ['chain:5', 'tree:8', 'tree:16', 'tree:59']

/**
 * Every kind of trees at every temperature, with plain candidates, and above 0 with coupled ones.
 *
 * @throws UsageError for trees that there are not
 */
export function settingsFor(trees: readonly string[], temperatures: readonly number[]): HeadSetting[] {
  return temperatures.flatMap((temperature) =>
    trees.flatMap((name) => {
      const [kind = '', nodes, ...more] = name.split(':')
      const create = Object.hasOwn(kinds, kind) ? kinds[kind] : undefined
      const count = Number(nodes)
      if (!create || more.length > 0 || !Number.isInteger(count) || count < 1) {
        throw new UsageError(`There are no trees "${name}"; they are ${Object.keys(kinds).join(':N, ')}:N.`)
      }
      const candidates = temperature === 0 ? [false] : [false, true]
      return candidates.map((isCoupled) => ({ name, temperature, isCoupled, createPolicy: () => create(count) }))
    }),
  )
}
