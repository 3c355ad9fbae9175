import { describe, expect, it } from 'vitest'
import type { SamplerOptions } from './index.js'
import { alpha } from './testing/chi-square.js'
import { treeShapes } from './testing/scripted-world.js'
import { losslessRules, settings, testRule } from './testing/verifier-matrix.js'

const samples = 200_000

/** Each processor by itself, orders that differ from the default, and what faults.md names: T 0.3 to 1.5. */
const moreSettings: Record<string, SamplerOptions> = {
  ...settings,
  'temperature 0.3': { temperature: 0.3 },
  'temperature 0.5': { temperature: 0.5 },
  'temperature 1.5': { temperature: 1.5 },
  minP: { temperature: 1.5, minP: 0.2 },
  typicalP: { temperature: 1, typicalP: 0.7 },
  topK: { temperature: 1, topK: 2 },
  topP: { temperature: 0.7, topP: 0.9 },
  repetitionPenalty: { temperature: 1, repetitionPenalty: 1.5 },
  presencePenalty: { temperature: 1, presencePenalty: 0.8 },
  frequencyPenalty: { temperature: 1, frequencyPenalty: 0.8 },
  logitBias: { temperature: 1, logitBias: { 0: -1, 4: 1 } },
  bannedTokens: { temperature: 1, bannedTokens: [1, 2] },
  'topP before temperature': { temperature: 0.6, topP: 0.8, order: ['topP', 'temperature'] },
}

describe.each(Object.keys(losslessRules))('%s, 200 000 samples', (rule) => {
  describe.each(Object.entries(moreSettings))('%s', (_, options) => {
    for (const shape of treeShapes) {
      it.each([false, true])(`${shape.name}, coupled: %s`, { timeout: 300_000 }, async (isCoupled) => {
        const { pValue } = await testRule(rule, options, { shape, isCoupled, samples })
        expect(pValue).toBeGreaterThan(alpha)
      })
    }
  })
})
