import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { findings, openDataSets, paperTable, runBenchmark, summarize, textTable } from '@hass-engine/bench'
import { mergePolicies, ngram } from '@hass-engine/draft-tree'
import { loadEngine } from '@hass-engine/engine'
import { successors } from './successors.js'

await using engine = await loadEngine({ draft: 'ngram', keptPrefixes: 0, contextTokens: 512 })

const summary = summarize(
  await runBenchmark({
    // One engine, several policies. The first subject is what the others are compared with.
    subjects: [
      { name: 'plain', generator: engine, options: () => ({ speculate: false }) },
      { name: 'n-gram', generator: engine, options: () => ({ policy: mergePolicies([ngram()]) }) },
      { name: 'successors', generator: engine, options: () => ({ policy: successors({ depth: 3 }) }) },
    ],
    dataSets: await openDataSets([fileURLToPath(new URL('../prompts.jsonl', import.meta.url))]),
    temperatures: [0, 0.7],
    maxTokens: 24,
  }),
)
console.log(textTable(paperTable(summary)))
assert.deepEqual(findings(summary), [])
