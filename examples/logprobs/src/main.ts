import assert from 'node:assert/strict'
import { ngram } from '@hass-engine/draft-tree'
import { loadEngine } from '@hass-engine/engine'

await using engine = await loadEngine()
const options = { prompt: 'One, two, three, one, two,', maxTokens: 12, temperature: 0.7, topP: 0.95, seed: 5 }
const { logProbs, speculation } = await engine.generateText({ ...options, topLogProbs: 3, policy: ngram() })

const show = (token: number, logProb: number) =>
  `${JSON.stringify(engine.tokenizer.decode([token]))} ${(100 * Math.exp(logProb)).toFixed(1)} %`
for (const { token, logProb, processedLogProb, top } of logProbs!) {
  const others = top.map((other) => show(other.token, other.logProb)).join('  ')
  console.log(
    `${show(token, logProb)} (chosen from ${(100 * Math.exp(processedLogProb!)).toFixed(1)} %)  best: ${others}`,
  )
}
console.log(`τ ${speculation!.acceptanceLength.toFixed(2)}`)

// They are the target's: the same without speculation, to the last bit.
const plain = await engine.generateText({ ...options, topLogProbs: 3, speculate: false })
assert.deepEqual(logProbs, plain.logProbs)
for (const { logProb, top } of logProbs!) {
  const sum = top.reduce((total, other) => total + Math.exp(other.logProb), 0)
  assert.ok(sum <= 1 + 1e-6)
  assert.ok(logProb <= top[0]!.logProb)
}
assert.ok(speculation!.accepted > 0)
