import { describe, expect, it } from 'vitest'
import { fixedPolicies, machines } from '../benchmarks/grid.js'
import { type SimulationResult, simulate, tokensPerSecond } from '../benchmarks/simulation.js'
import { syntheticText } from '../benchmarks/synthetic-text.js'
import { costAware } from './cost-aware.js'

const recordings = [1, 2].map((seed) => syntheticText({ seed, tokens: 500 }))
let fixed: Map<string, SimulationResult> | undefined

/** Run once: what a fixed tree drafts does not depend on the machine. */
function fixedResults(): Map<string, SimulationResult> {
  fixed ??= new Map([...fixedPolicies()].map(([name, policy]) => [name, simulate(policy, recordings, machines.flat!)]))
  return fixed
}

describe.each(Object.entries(machines))('on the %s machine', (_, costs) => {
  it('emits more tokens per second than every fixed tree and than plain decoding', () => {
    const speed = tokensPerSecond(simulate(costAware(), recordings, costs), costs)
    const best = Math.max(...[...fixedResults().values()].map((result) => tokensPerSecond(result, costs)))
    expect(fixedResults().size).toBeGreaterThan(100)
    expect(speed).toBeGreaterThan(best)
    expect(speed).toBeGreaterThan(1000 / costs.verify.ms[0]!)
  })
})
