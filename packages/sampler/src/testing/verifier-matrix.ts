import type { Verifier } from '@hass-engine/core'
import {
  createSampler,
  exactMatch,
  type NoiseField,
  noiseDraws,
  recursiveRejection,
  type SamplerOptions,
} from '../index.js'
import { type ChiSquare, chiSquare } from './chi-square.js'
import { countContinuations, exactContinuations, scriptedTarget, type TreeShape } from './scripted-world.js'

export const losslessRules: Record<string, (noise: NoiseField) => Verifier<'lossless'>> = {
  exactMatch: () => exactMatch(),
  recursiveRejection: (noise) => recursiveRejection({ random: noiseDraws(noise) }),
}

/** Every processor at least once. */
export const settings: Record<string, SamplerOptions> = {
  'temperature 1': { temperature: 1 },
  'temperature, topK, topP': { temperature: 1.2, topK: 4, topP: 0.8 },
  'minP, typicalP': { temperature: 1.5, minP: 0.1, typicalP: 0.8 },
  'penalties, bias and ban': {
    temperature: 0.9,
    repetitionPenalty: 1.6,
    presencePenalty: 0.5,
    frequencyPenalty: 0.4,
    logitBias: { 2: 0.7 },
    bannedTokens: [0],
  },
}

// One token more than the deepest tree, so that bonus tokens after full acceptance and second cycles are part of it.
const length = 3

/** Pearson's test of the joint distribution of the first tokens that a rule emits. */
export async function testRule(
  rule: string,
  options: SamplerOptions,
  experiment: { readonly shape: TreeShape; readonly isCoupled: boolean; readonly samples: number },
): Promise<ChiSquare> {
  // Probabilities know no seed: a rule that asks for nothing else can do with one sampler for all samples.
  const shared = rule === 'exactMatch' ? undefined : createSampler({ ...options, seed: 0 })
  const counts = await countContinuations({
    ...experiment,
    length,
    create(seed, noise) {
      const sampler = shared ?? createSampler({ ...options, seed })
      return {
        verifier: losslessRules[rule]!(noise),
        target: (tree, history) => scriptedTarget(sampler, tree, history),
      }
    },
  })
  return chiSquare(counts, exactContinuations(options, length))
}
