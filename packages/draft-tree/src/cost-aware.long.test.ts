import { describe, expect, it } from 'vitest'
import { goldenRecordings } from '../benchmarks/golden-recordings.js'
import { fixedPolicies, machines } from '../benchmarks/grid.js'
import { type SimulationResult, simulate, tokensPerSecond } from '../benchmarks/simulation.js'
import { costAware } from './cost-aware.js'

const recordings = goldenRecordings()
let fixed: SimulationResult[] | undefined

describe.each(Object.entries(machines))('over the golden heads on the %s machine', (_, costs) => {
  it('emits more tokens per second than plain decoding, and no fixed tree is 3 % faster', { timeout: 300_000 }, () => {
    fixed ??= [...fixedPolicies().values()].map((policy) => simulate(policy, recordings, machines.flat!))
    const speed = tokensPerSecond(simulate(costAware(), recordings, costs), costs)
    // A few hundred tokens are few, and the best of so many trees is chosen in hindsight.
    const best = Math.max(...fixed.map((result) => tokensPerSecond(result, costs)))
    expect(speed).toBeGreaterThan(0.97 * best)
    expect(speed).toBeGreaterThan(1000 / costs.verify.ms[0]!)
  })
})
