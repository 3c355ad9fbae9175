import { describe, expect, it } from 'vitest'
import { listGolden, readGoldenJson } from '../../../test/support/golden.js'
import { TinyTarget } from '../../../test/support/tiny-llama.js'
import { fixedPolicies, machines } from '../benchmarks/grid.js'
import { simulate, tokensPerSecond } from '../benchmarks/simulation.js'
import { recordHead } from '../test/recorded-head.js'
import { costAware } from './cost-aware.js'

const traces = listGolden('traces', /\.greedy\..*\.json$/)

describe('over the recorded golden heads', () => {
  it('x', () => {
    const t0 = performance.now()
    const targets = new Map<string, TinyTarget>()
    const recordings = traces.map((file) => {
      const { target: name, head, prompt, output } = readGoldenJson('traces', file)
      const target = targets.get(name) ?? new TinyTarget(name)
      targets.set(name, target)
      return recordHead(head, target, [...prompt, ...output], prompt.length)
    })
    const fixed = [...fixedPolicies()].map(([name, p]) => ({ name, r: simulate(p, recordings, machines.flat!) }))
    for (const [machine, costs] of Object.entries(machines)) {
      fixed.sort((a, b) => tokensPerSecond(b.r, costs) - tokensPerSecond(a.r, costs))
      const aware = simulate(costAware(), recordings, costs)
      console.log(machine, tokensPerSecond(aware, costs), aware.emitted / aware.cycles, aware.drafted / aware.cycles)
      for (const { name, r } of fixed.slice(0, 4)) console.log('  ', name, tokensPerSecond(r, costs), r.emitted / r.cycles)
    }
    console.log((performance.now() - t0) / 1000)
    expect(1).toBe(1)
  }, 300000)
})
