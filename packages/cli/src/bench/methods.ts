import type { TreePolicy } from '@hass-engine/core'
import { chain, costAware, dynamicTree, mergePolicies, ngram } from '@hass-engine/draft-tree'
import { UsageError } from '../errors.js'

/** One way to decode: a row of the tables. */
export interface Method {
  /** What the command line calls it. */
  readonly key: string
  /** What tables print. */
  readonly name: string
  /** Which head it drafts with: the one under test, one trained at a single alignment step, or none. */
  readonly head: 'hass' | 'eagle' | 'none'
  /** A policy that has learnt nothing yet. Absent for plain decoding. */
  readonly policy?: () => TreePolicy
}

/** Trees have the papers' settings unless they are made to weigh costs. */
export const methods: readonly Method[] = [
  { key: 'plain', name: 'plain', head: 'none' },
  { key: 'ngram', name: 'n-gram', head: 'none', policy: () => mergePolicies([ngram()]) },
  { key: 'chain', name: 'chain', head: 'hass', policy: () => chain() },
  { key: 'eagle-2', name: 'EAGLE-2', head: 'eagle', policy: () => dynamicTree() },
  { key: 'hass', name: 'HASS', head: 'hass', policy: () => dynamicTree() },
  { key: 'cost-aware', name: 'HASS, cost-aware', head: 'hass', policy: () => costAware() },
  {
    key: 'hass+ngram',
    name: 'HASS + n-gram',
    head: 'hass',
    policy: () => mergePolicies([costAware(), ngram()]),
  },
]

/**
 * The methods that were asked for, plain decoding always first; without a word all that there are heads for.
 *
 * @param heads which heads are there
 * @throws UsageError for names that are unknown, or need a head that is missing
 */
export function chooseMethods(keys: readonly string[] | undefined, heads: ReadonlySet<Method['head']>): Method[] {
  const unknown = keys?.find((key) => methods.every((method) => method.key !== key))
  if (unknown !== undefined) {
    throw new UsageError(`There is no method "${unknown}"; they are ${methods.map(({ key }) => key).join(', ')}.`)
  }
  const canRun = ({ head }: Method) => head === 'none' || heads.has(head)
  const headless = methods.find((method) => keys?.includes(method.key) && !canRun(method))
  if (headless) {
    const flag = headless.head === 'eagle' ? '--eagle-draft' : '--draft'
    throw new UsageError(`The method ${headless.key} needs a draft head; name its folder with ${flag}.`)
  }
  return methods.filter((method) => method.key === 'plain' || (keys ? keys.includes(method.key) : canRun(method)))
}
