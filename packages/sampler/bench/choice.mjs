// Microseconds per choice from one row of logits, by what is asked for.
import { cpus } from 'node:os'
import { createNoiseField, createSampler, noiseStreams } from '@hass-engine/sampler'

const field = createNoiseField(1)
const settings = [
  {},
  { temperature: 0.7 },
  { temperature: 0.7, topP: 0.9 },
  { temperature: 0.7, topK: 40 },
  { temperature: 0.7, topK: 40, topP: 0.9 },
  { temperature: 1, minP: 0.05 },
  { temperature: 1, typicalP: 0.9 },
  { temperature: 0.7, topP: 0.9, repetitionPenalty: 1.1 },
]
const history = Uint32Array.from({ length: 1000 }, (_, i) => i * 7)

/** Normal logits of standard deviation 3: about as spread as a language model's. */
function inventRow(row, vocabSize) {
  return Float32Array.from({ length: vocabSize }, (_, token) => {
    const radius = Math.sqrt(-2 * Math.log(field.uniform(row, 2 * token, noiseStreams.training)))
    return 3 * radius * Math.cos(2 * Math.PI * field.uniform(row, 2 * token + 1, noiseStreams.training))
  })
}

console.log(`${cpus()[0].model}, Node ${process.version}; 100 choices each after 50 to warm up\n`)
console.log('| vocabulary | options | minimum µs | median µs | maximum µs |\n| --- | --- | --- | --- | --- |')
for (const vocabSize of [49_152, 151_936]) {
  const rows = Array.from({ length: 8 }, (_, row) => inventRow(row, vocabSize))
  for (const options of settings) {
    const sampler = createSampler({ ...options, seed: 5 })
    for (let i = 0; i < 50; i++) sampler.choose(rows[i % 8], history, [i])
    const times = Array.from({ length: 100 }, (_, i) => {
      const start = performance.now()
      sampler.choose(rows[i % 8], history, [i])
      return 1000 * (performance.now() - start)
    }).sort((a, b) => a - b)
    const [minimum, median, maximum] = [times[0], times[50], times[99]].map((time) => time.toFixed(0))
    console.log(`| ${vocabSize} | ${JSON.stringify(options)} | ${minimum} | ${median} | ${maximum} |`)
  }
}
