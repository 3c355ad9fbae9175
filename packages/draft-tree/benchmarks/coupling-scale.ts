import { coupledCandidates } from '../src/index.js'

/**
 * Which scale s makes coupled scores most honest, and what coupling is worth, for a draft that differs from the
 * target by Gaussian noise on its logits. Target logits: −1.1·log(rank + 1) of 200 tokens plus N(0, 1).
 */
const [vocabSize, rows, width, seed] = [200, 1000, 4, 7]

let state = seed
function uniform(): number {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 2 ** 32
}
const gaussian = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
const gumbel = () => -Math.log(-Math.log(uniform()))

console.log(`${rows} rows of ${vocabSize} tokens, seed ${seed}; hits: share of choices among ${width} candidates.\n`)
console.log(
  '| error of the draft logits | best s | mean log-likelihood | at s = 0.5 | at s = 1 | coupled hits | plain hits |',
)
console.log('| --- | --- | --- | --- | --- | --- | --- |')
for (const error of [0.1, 0.25, 0.5, 1, 1.5]) {
  const logits = new Float32Array(rows * vocabSize)
  const noise = new Float64Array(rows * vocabSize).map(gumbel)
  const choices = new Uint32Array(rows)
  for (let row = 0; row < rows; row++) {
    let best = -Infinity
    for (let v = 0; v < vocabSize; v++) {
      const target = -1.1 * Math.log(v + 1) + gaussian()
      logits[row * vocabSize + v] = target + error * gaussian()
      if (target + noise[row * vocabSize + v]! <= best) continue
      best = target + noise[row * vocabSize + v]!
      choices[row] = v
    }
  }
  const score = (scale: number, noiseOf: (row: number, token: number) => number) => {
    const { tokens, logProbs } = coupledCandidates({
      logits,
      rows,
      vocabSize,
      width: vocabSize,
      rule: { temperature: 1 },
      positions: Uint32Array.from({ length: rows }, (_, row) => row),
      noise: noiseOf,
      scale,
    })
    let [sum, hits] = [0, 0]
    for (let row = 0; row < rows; row++) {
      const rank = tokens.subarray(row * vocabSize, (row + 1) * vocabSize).indexOf(choices[row]!)
      sum += logProbs[row * vocabSize + rank]!
      if (rank < width) hits++
    }
    return { likelihood: sum / rows, hits: hits / rows }
  }
  const coupled = (scale: number) => score(scale, (row, token) => noise[row * vocabSize + token]!)
  const scales = Array.from({ length: 24 }, (_, i) => 0.05 * 1.15 ** i)
  const best = scales
    .map((scale) => ({ scale, ...coupled(scale) }))
    .reduce((a, b) => (b.likelihood > a.likelihood ? b : a))
  const cells = [
    error,
    best.scale,
    best.likelihood,
    coupled(0.5).likelihood,
    coupled(1).likelihood,
    best.hits,
    score(1, () => 0).hits,
  ]
  console.log(`| ${cells.map((cell) => cell.toFixed(2)).join(' | ')} |`)
}
