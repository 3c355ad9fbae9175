import { describe, expect, it } from 'vitest'
import { floats, listGolden, readGoldenJson, readGoldenTensors } from '../../../test/support/golden.js'
import type { ProcessorName } from './processors.js'
import { createSampler } from './sampler.js'

interface SamplingCase {
  name: string
  steps: { op: string; value: number }[]
  kept: number[]
}

const toName = (op: string) => op.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()) as ProcessorName

describe.skipIf(listGolden('sampling').length === 0)('golden processed distributions', () => {
  const { cases, history } = readGoldenJson('sampling', 'sampling.json') as {
    cases: SamplingCase[]
    history: number[][]
  }
  const tensors = readGoldenTensors('sampling', 'sampling.safetensors')
  const logits = floats(tensors, 'logits')
  const vocabSize = tensors.get('logits')!.shape[1]!

  it.each(cases.map(({ name }, index) => ({ name, index })))('$name', ({ index }) => {
    const { steps, kept } = cases[index]!
    const order: ProcessorName[] = steps.map(({ op }) => toName(op))
    if (!order.includes('temperature')) order.push('temperature')
    const options = Object.fromEntries(steps.map(({ op, value }) => [toName(op), value]))
    const sampler = createSampler({ temperature: 1, ...options, order, seed: 0 })
    const expected = floats(tensors, `case${index}.probs`)
    expect(history.length * vocabSize).toBe(logits.length)
    for (const [row, tokens] of history.entries()) {
      const probs = sampler.probs(logits.subarray(row * vocabSize, (row + 1) * vocabSize), tokens)
      let worst = 0
      for (let i = 0; i < vocabSize; i++) {
        worst = Math.max(worst, Math.abs(probs[i]! - expected[row * vocabSize + i]!))
      }
      expect(worst).toBeLessThan(1e-5)
      expect(probs.filter((prob) => prob > 0).length).toBe(kept[row])
    }
  })
})
