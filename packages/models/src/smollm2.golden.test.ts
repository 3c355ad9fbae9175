import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { measureAgreement } from './testing/smollm2-agreement.js'

const modelPath = fileURLToPath(new URL('../../smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf', import.meta.url))

// Two texts for every day; all of them, and the other activation formats, in the long tests.
it('SmolLM2 with int8 activations chooses and distributes like its float32 self', async () => {
  const found = await measureAgreement(modelPath, {}, 2)
  expect(found.clear).toBeGreaterThan(100)
  expect(found.agreement).toBeGreaterThanOrEqual(0.97)
  expect(found.meanDivergence).toBeLessThanOrEqual(4e-3)
})

it('SmolLM2 with float32 activations and cache is the float32 model', async () => {
  const found = await measureAgreement(modelPath, { activationBlock: 0 }, 1)
  expect(found.agreement).toBe(1)
  expect(found.meanTopDivergence).toBeLessThanOrEqual(1e-8)
  expect(found.meanWholeDivergence).toBeLessThanOrEqual(1e-8)
})
