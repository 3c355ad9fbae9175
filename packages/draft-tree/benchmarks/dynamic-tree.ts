import type { DraftCandidates } from '@hass-engine/core'
import { Bench } from 'tinybench'
import { costAware, dynamicTree, ngram } from '../src/index.js'
import { machines } from './grid.js'

const [topK, levels] = [10, 6]

/** Candidates that fall off with their rank, other tokens in every row. */
function candidates(rows: number, level: number): DraftCandidates {
  const count = rows * topK
  return {
    rows,
    width: topK,
    tokens: Uint32Array.from({ length: count }, (_, i) => level * count + i),
    logProbs: Float32Array.from({ length: count }, (_, i) => -0.3 - 0.5 * (i % topK) - 0.013 * Math.floor(i / topK)),
  }
}

const recorded = Array.from({ length: levels }, (_, level) => candidates(level === 0 ? 1 : topK, level))
const dynamic = dynamicTree()
const costs = machines.flat!
const aware = costAware()
const history = Uint32Array.from({ length: 32768 }, (_, i) => Math.imul(i, 2654435761) >>> 20)
const lookup = ngram()

function draft(policy: typeof dynamic): number {
  const builder = policy.start({ root: 1, costs, history })
  for (const level of recorded) if (builder.expand(level).tokens.length === 0) break
  return builder.finish().tokens.length
}

const nodes = draft(dynamic) - 1
if (nodes !== 59) throw new Error(`The dynamic tree has ${nodes} nodes, expected 59.`)

const bench = new Bench({ time: 2000, warmupTime: 500 })
bench.add('dynamic: 59 nodes from 10×10 candidates over 6 levels', () => void draft(dynamic))
bench.add('cost-aware: the same candidates, flat costs', () => void draft(aware))
bench.add(
  `ngram: a history of ${history.length} tokens`,
  () => void lookup.start({ root: history.at(-1)!, history }).finish(),
)
await bench.run()
console.log(`node ${process.version}, ${process.platform} ${process.arch}\n`)
console.log('| case | median µs | minimum µs | p99 µs | runs |\n| --- | --- | --- | --- | --- |')
for (const { name, result } of bench.tasks) {
  if (!('latency' in result)) throw new Error(`${name} did not run.`)
  const { p50, min, p99, samplesCount } = result.latency
  console.log(`| ${name} | ${[p50, min, p99].map((ms) => (1000 * ms).toFixed(1)).join(' | ')} | ${samplesCount} |`)
}
