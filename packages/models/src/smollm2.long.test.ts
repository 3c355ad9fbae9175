import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import type { TargetModelOptions } from './create-target-model.js'
import { measureAgreement } from './testing/smollm2-agreement.js'

const modelPath = fileURLToPath(new URL('../../smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf', import.meta.url))

const settings: readonly (readonly [options: Partial<TargetModelOptions>, largestDivergence: number])[] = [
  [{ activationBlock: 32 }, 4e-3],
  [{ activationBlock: 16 }, 2e-3],
  // Keys and values rounded to float16 are all that is left to differ.
  [{ activationBlock: 0, cacheDtype: 'F16' }, 4e-6],
]

it.each(settings)('SmolLM2 with %j agrees over all golden texts', async (options, largestDivergence) => {
  const found = await measureAgreement(modelPath, options)
  expect(found.agreement).toBeGreaterThanOrEqual(0.97)
  expect(found.meanDivergence).toBeLessThanOrEqual(largestDivergence)
})

it('SmolLM2 with float32 activations and cache is the float32 model over all golden texts', async () => {
  const found = await measureAgreement(modelPath, { activationBlock: 0 })
  expect(found.agreement).toBe(1)
  expect(found.meanTopDivergence).toBeLessThanOrEqual(1e-8)
  expect(found.meanWholeDivergence).toBeLessThanOrEqual(1e-8)
})
