import type { CostTables } from '@hass-engine/core'
import { costAware } from '../src/index.js'
import { fixedPolicies, machines } from './grid.js'
import { type SimulationResult, simulate, tokensPerSecond } from './simulation.js'
import { syntheticText } from './synthetic-text.js'

const seeds = [1, 2]
const tokens = 1000
const recordings = seeds.map((seed) => syntheticText({ seed, tokens }))

function line(name: string, result: SimulationResult, costs: CostTables): string {
  const { emitted, cycles, drafted } = result
  const cells = [tokensPerSecond(result, costs), emitted / cycles, drafted / cycles]
  return `| ${name} | ${cells.map((cell) => cell.toFixed(2)).join(' | ')} |`
}

const started = performance.now()
console.log(`Synthetic texts: seeds ${seeds.join(', ')}, ${tokens} tokens each.`)
const fixed = [...fixedPolicies()].map(([name, policy]) => ({
  name,
  result: simulate(policy, recordings, machines.flat!),
}))
for (const [machine, costs] of Object.entries(machines)) {
  fixed.sort((a, b) => tokensPerSecond(b.result, costs) - tokensPerSecond(a.result, costs))
  console.log(`\n${machine}: plain ${(1000 / costs.verify.ms[0]!).toFixed(2)} tokens/s, ${fixed.length} fixed trees\n`)
  console.log('| tree | tokens/s | τ | nodes |\n| --- | --- | --- | --- |')
  console.log(line('cost-aware', simulate(costAware(), recordings, costs), costs))
  for (const { name, result } of fixed.slice(0, 5)) console.log(line(name, result, costs))
}
console.log(`\n${((performance.now() - started) / 1000).toFixed(1)} s`)
