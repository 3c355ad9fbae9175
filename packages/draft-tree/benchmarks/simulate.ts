import { resolve } from 'node:path'
import type { CostTables } from '@hass-engine/core'
import { costAware } from '../src/index.js'
import { fixedPolicies, machines } from './grid.js'
import { type Recording, type SimulationResult, simulate, tokensPerSecond } from './simulation.js'
import { syntheticText } from './synthetic-text.js'

function line(name: string, result: SimulationResult, costs: CostTables): string {
  const { emitted, cycles, drafted } = result
  const cells = [tokensPerSecond(result, costs), emitted / cycles, drafted / cycles]
  return `| ${name} | ${cells.map((cell) => cell.toFixed(2)).join(' | ')} |`
}

function compare(title: string, recordings: readonly Recording[]): void {
  const started = performance.now()
  const fixed = [...fixedPolicies()].map(([name, policy]) => ({
    name,
    result: simulate(policy, recordings, machines.flat!),
  }))
  console.log(`\n## ${title}; ${fixed.length} fixed trees, the best five shown`)
  for (const [machine, costs] of Object.entries(machines)) {
    fixed.sort((a, b) => tokensPerSecond(b.result, costs) - tokensPerSecond(a.result, costs))
    console.log(`\n${machine}: plain decoding ${(1000 / costs.verify.ms[0]!).toFixed(2)} tokens/s\n`)
    console.log('| tree | tokens/s | τ | nodes |\n| --- | --- | --- | --- |')
    console.log(line('cost-aware', simulate(costAware(), recordings, costs), costs))
    for (const { name, result } of fixed.slice(0, 5)) console.log(line(name, result, costs))
  }
  console.log(`\n(${((performance.now() - started) / 1000).toFixed(1)} s)`)
}

const seeds = [1, 2]
const tokens = 1000
compare(
  `Synthetic texts, seeds ${seeds.join(', ')}, ${tokens} tokens each`,
  seeds.map((seed) => syntheticText({ seed, tokens })),
)

// The bundle does not lie where the golden data is looked for; a package's scripts run in its folder.
process.env.HASS_GOLDEN_DIR ??= resolve('../../test/golden')
const { goldenRecordings } = await import('./golden-recordings.js')
const recordings = goldenRecordings()
compare(`Golden heads, ${recordings.length} greedy texts`, recordings)
