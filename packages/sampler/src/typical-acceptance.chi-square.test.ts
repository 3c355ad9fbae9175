import { describe, expect, it } from 'vitest'
import { createNoiseField, createSampler, noiseDraws, typicalAcceptance } from './index.js'
import { alpha, chiSquare } from './testing/chi-square.js'
import { draftTreeOf, exactNext, prompt, quickShapes, scriptedTarget } from './testing/scripted-world.js'
import { settings } from './testing/verifier-matrix.js'

const samples = 20_000

/**
 * The rule's own law: whatever path is accepted, the bonus token has the target's distribution after it. Which path
 * that is depends on the tree, so each is tested by itself.
 */
describe.each(Object.entries(settings))('typicalAcceptance draws the exact bonus token: %s', (_, options) => {
  for (const shape of quickShapes) {
    for (const isCoupled of shape.branching.length > 0 ? [false, true] : [false]) {
      it(`${shape.name}, ${isCoupled ? 'coupled' : 'plain'} candidates`, async () => {
        const countsByPath = new Map<string, Map<string, number>>()
        const history = prompt.slice(0, -1)
        const sampler = createSampler({ ...options, seed: 0 })
        for (let seed = 0; seed < samples; seed++) {
          const noise = createNoiseField(seed)
          const tree = draftTreeOf(shape, prompt, isCoupled ? noise : undefined)
          const { path, bonusToken } = await typicalAcceptance({ random: noiseDraws(noise) }).verify({
            tree,
            target: scriptedTarget(sampler, tree, history),
            rootPosition: history.length,
          })
          const accepted = Array.from(path.subarray(1), (node) => tree.tokens[node]!).join()
          const counts = countsByPath.get(accepted) ?? new Map<string, number>()
          countsByPath.set(accepted, counts.set(`${bonusToken}`, (counts.get(`${bonusToken}`) ?? 0) + 1))
        }
        for (const [accepted, counts] of countsByPath) {
          const path = accepted === '' ? [] : accepted.split(',').map(Number)
          expect(chiSquare(counts, exactNext(options, [...prompt, ...path])).pValue).toBeGreaterThan(alpha)
        }
      })
    }
  }
})
