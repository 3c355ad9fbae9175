import assert from 'node:assert/strict'
import { loadEngine } from '@hass-engine/engine'

await using engine = await loadEngine()
const request = { messages: [{ role: 'user', content: 'Write a sentence about the sea.' }], maxTokens: 60 }

console.log('Stopped by a signal:')
const controller = new AbortController()
const stream = engine.streamText({ ...request, signal: controller.signal })
let shown = ''
try {
  for await (const text of stream.textStream) {
    process.stdout.write(text)
    shown += text
    if (shown.length > 50) controller.abort()
  }
  assert.fail('The stream ended by itself.')
} catch (error) {
  assert.equal(error, controller.signal.reason)
  console.log(' …')
}
// The result rejects in the same way, once nothing of the request is left.
await assert.rejects(stream.result, { name: 'AbortError' })
assert.equal(engine.target.cache.free, engine.target.cache.capacity)

console.log('Left early, with its events:')
{
  await using left = engine.streamText(request)
  for await (const event of left) {
    if (event.type === 'prefill-end') console.log(`${event.promptTokens} prompt tokens have been read`)
    if (event.type === 'text-delta') break
  }
}
assert.equal(engine.target.cache.free, engine.target.cache.capacity)

console.log('Whole:')
const whole = await engine.generateText(request)
console.log(whole.text)
assert.ok(whole.text.startsWith(shown))
