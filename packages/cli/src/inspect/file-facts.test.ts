import { attachFp8Scales, createMemoryTensor } from '@hass-engine/weights'
import { expect, it } from 'vitest'
import { sumByDType } from './file-facts.js'

it('counts the scales of FP8 weights as memory, not as parameters', () => {
  const tensors = [
    createMemoryTensor({ name: 'a', dtype: 'F8_E4M3', shape: [130, 256], data: new Uint8Array(130 * 256) }),
    createMemoryTensor({ name: 'a_scale_inv', dtype: 'F32', shape: [2, 2], data: new Float32Array(4) }),
  ]
  const attached = attachFp8Scales(new Map(tensors.map((tensor) => [tensor.name, tensor])))
  expect(sumByDType([...attached.values()])).toEqual([
    { dtype: 'F8_E4M3', tensors: 1, elements: 130 * 256, bytes: 130 * 256 + 16 },
  ])
})
