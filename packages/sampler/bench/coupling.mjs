// How often the target's choice is among k drafted candidates, plain and coupled, over synthetic distributions.
import { writeFileSync } from 'node:fs'
import { createNoiseField, noiseStreams } from '@hass-engine/sampler'

const vocabSize = 1000
const pairs = 20
const positionsPerPair = 1000
const widths = [1, 2, 4, 8]
const temperatures = [1, 0.7]
const errors = [0, 0.25, 0.5, 1, 2]
const seed = 2408

const field = createNoiseField(seed)
const gumbel = new Float64Array(vocabSize)

/** Standard normal, from two uniforms of a stream that no choice uses (Box and Muller). */
function normal(position, token) {
  const radius = Math.sqrt(-2 * Math.log(field.uniform(position, 2 * token, noiseStreams.training)))
  return radius * Math.cos(2 * Math.PI * field.uniform(position, 2 * token + 1, noiseStreams.training))
}

function topIds(scores, count) {
  return Array.from(scores.keys())
    .sort((a, b) => scores[b] - scores[a])
    .slice(0, count)
}

function softmax(logits) {
  const largest = Math.max(...logits)
  const weights = logits.map((logit) => Math.exp(logit - largest))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map((weight) => weight / total)
}

/** Zipf's law with normal disturbance: about the entropy of a small model's text. */
function targetLogits(pair) {
  return Float64Array.from({ length: vocabSize }, (_, token) => -1.6 * Math.log(token + 1) + normal(pair, token))
}

function measure(error, temperature) {
  const plain = widths.map(() => 0)
  const coupled = widths.map(() => 0)
  for (let pair = 0; pair < pairs; pair++) {
    const target = targetLogits(pair).map((logit) => logit / temperature)
    const draft = target.map((logit, token) => logit + (error * normal(1000 + pair, token)) / temperature)
    const probs = softmax(target)
    const plainIds = topIds(draft, widths.at(-1))
    widths.forEach((width, i) => {
      for (const token of plainIds.slice(0, width)) plain[i] += probs[token] / pairs
    })
    for (let i = 0; i < positionsPerPair; i++) {
      field.fillGumbel(gumbel, pair * positionsPerPair + i)
      const [choice] = topIdsOfSum(target, gumbel, 1)
      const rank = topIdsOfSum(draft, gumbel, widths.at(-1)).indexOf(choice)
      widths.forEach((width, w) => {
        if (rank !== -1 && rank < width) coupled[w] += 1 / (pairs * positionsPerPair)
      })
    }
  }
  return { plain, coupled }
}

/** The best few of `logits + noise`, without sorting the rest. */
function topIdsOfSum(logits, noise, count) {
  const ids = []
  const scores = []
  for (let token = 0; token < vocabSize; token++) {
    const score = logits[token] + noise[token]
    if (ids.length === count && score <= scores[count - 1]) continue
    let at = ids.length === count ? count - 1 : ids.length
    while (at > 0 && scores[at - 1] < score) {
      scores[at] = scores[at - 1]
      ids[at] = ids[at - 1]
      at--
    }
    scores[at] = score
    ids[at] = token
  }
  return ids
}

const percent = (share) => `${(100 * share).toFixed(1)} %`
const rows = temperatures.flatMap((temperature) =>
  errors.map((error) => {
    const { plain, coupled } = measure(error, temperature)
    const cells = widths.map((_, i) => `${percent(plain[i])} → ${percent(coupled[i])}`)
    return `| ${temperature} | ${error} | ${cells.join(' | ')} |`
  }),
)
const text = `# Coupled against plain candidates

How often the target's choice is among the k candidates of a draft: plain (the k most probable by log q) → coupled (the k best by log q + G with the target's own noise). For plain candidates this is also the acceptance of recursive rejection, and the sum of the target's probabilities over the candidates, which is what is printed.

| temperature | draft error σ | ${widths.map((width) => `k = ${width}`).join(' | ')} |
| --- | --- | ${widths.map(() => '---').join(' | ')} |
${rows.join('\n')}

Synthetic: ${pairs} pairs of distributions over ${vocabSize} tokens, target logits −1.6 ln(rank) + N(0, 1), draft logits = target logits + N(0, σ²), both divided by the temperature; ${positionsPerPair} positions for each pair, so the coupled figures have a standard error of at most 0.4 percentage points. Seed ${seed}. At σ = 0 draft and target are one distribution, and coupled candidates are certain to hold the choice.

Run again with

    pnpm --filter @hass-engine/sampler bench:coupling ../../docs/results/coupling.md
`
const file = process.argv[2]
if (file) writeFileSync(file, text)
else process.stdout.write(text)
