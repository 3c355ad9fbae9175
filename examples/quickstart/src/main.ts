import assert from 'node:assert/strict'
import { loadEngine } from '@hass-engine/engine'

await using engine = await loadEngine()
const messages = [{ role: 'user', content: 'Which planet is called the red planet?' }]
const { text, usage, timings } = await engine.generateText({ messages, maxTokens: 40 })
console.log(text)

console.log(`${usage.completionTokens} tokens in ${timings.totalMs.toFixed(0)} ms`)
assert.match(text, /Mars/)
