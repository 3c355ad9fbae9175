import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { ngram } from '@hass-engine/draft-tree'
import { type EngineGenerateOptions, loadEngine } from '@hass-engine/engine'

await using engine = await loadEngine()

// Greedy and sampled, decoded plainly and with trees: any mix may share the passes.
const request = (content: string, more: EngineGenerateOptions = {}): EngineGenerateOptions => ({
  messages: [{ role: 'user', content }],
  maxTokens: 20,
  ...more,
})
const requests = [
  request('Which planet is called the red planet?'),
  request('Write a sentence about the sea.', { temperature: 0.8, seed: 1 }),
  request('Write a sentence about the sea.', { temperature: 0.8, seed: 2, policy: ngram() }),
  request('What color is the sky?', { policy: ngram() }),
  request('How many days are in a week?', { temperature: 1, topP: 0.9, seed: 3 }),
  request('What is the boiling point of water?'),
]

const startedAt = performance.now()
const alone: string[] = []
for (const options of requests) alone.push((await engine.generateText(options)).text)
const aloneMs = performance.now() - startedAt

// They join while others are being decoded, and leave when they are done.
const joinedAt = performance.now()
const together = await Promise.all(
  requests.map(async (options, i) => {
    await setTimeout(20 * i)
    return (await engine.generateText(options)).text
  }),
)
const togetherMs = performance.now() - joinedAt

for (const [i, text] of together.entries()) console.log(`${i + 1}. ${JSON.stringify(text)}`)
console.log(`one after the other ${aloneMs.toFixed(0)} ms, together ${togetherMs.toFixed(0)} ms`)
assert.deepEqual(together, alone)
assert.notEqual(together[1], together[2], 'other seeds give other texts')
