import { expect, it } from 'vitest'
import { checkGates } from './cuda-gates.js'

it('CUDA kernels keep to what is stated beside them, on sm_80, sm_90 and sm_120', { timeout: 3_600_000 }, ({
  skip,
}) => {
  const { reason, problems } = checkGates('80,90,120')
  skip(reason !== undefined, reason)
  expect(problems).toBe('')
})
