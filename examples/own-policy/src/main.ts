import assert from 'node:assert/strict'
import { type EngineGenerateOptions, loadEngine } from '@hass-engine/engine'
import { echo } from './echo.js'

await using engine = await loadEngine()

async function compare(name: string, options: EngineGenerateOptions): Promise<void> {
  const plain = await engine.generateText({ ...options, speculate: false })
  const drafted = await engine.generateText({ ...options, policy: echo({ depth: 6 }) })
  const { acceptanceLength, drafted: nodes, accepted, targetCalls } = drafted.speculation!
  console.log(`${name}: ${JSON.stringify(drafted.text)}`)
  console.log(
    `  ${accepted} of ${nodes} drafted tokens accepted, τ ${acceptanceLength.toFixed(2)}: ` +
      `${targetCalls} passes instead of ${plain.speculation!.targetCalls}`,
  )
  assert.deepEqual(drafted.tokens, plain.tokens)
  assert.ok(accepted > 0)
}

const prompt = 'red, green, blue, red, green, blue, red, green,'
await compare('greedy', { prompt, maxTokens: 40 })
await compare('sampled', { prompt, maxTokens: 40, temperature: 0.6, seed: 7 })
