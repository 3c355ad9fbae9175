import { describe, expect, it } from 'vitest'
import { alpha } from './testing/chi-square.js'
import { quickShapes } from './testing/scripted-world.js'
import { losslessRules, settings, testRule } from './testing/verifier-matrix.js'

const samples = 20_000

describe.each(Object.keys(losslessRules))('%s emits the exact joint distribution of three tokens', (rule) => {
  describe.each(Object.entries(settings))('%s', (_, options) => {
    for (const shape of quickShapes) {
      for (const isCoupled of shape.branching.length > 0 ? [false, true] : [false]) {
        it(`${shape.name}, ${isCoupled ? 'coupled' : 'plain'} candidates`, async () => {
          const { pValue } = await testRule(rule, options, { shape, isCoupled, samples })
          expect(pValue).toBeGreaterThan(alpha)
        })
      }
    }
  })
})
