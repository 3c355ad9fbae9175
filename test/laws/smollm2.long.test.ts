import { isDeepStrictEqual } from 'node:util'
import { dynamicTree, ngram } from '@hass-engine/draft-tree'
import { type EngineGenerateOptions, loadEngine } from '@hass-engine/engine'
import { expect, it } from 'vitest'

const questions = [
  'Write a short poem about the sea.',
  'Count from one to twenty.',
  'Name three colours, again and again.',
]

/** The embedded model drafting from its own text: no head is needed for the law to be put to the test at full size. */
it('says the same with and without speculation on the embedded model', async () => {
  await using engine = await loadEngine({ draft: 'ngram', contextTokens: 512 })
  let accepted = 0
  for (const temperature of [0, 0.3, 0.7, 1, 1.5]) {
    const requests = questions.map(
      (content, i): EngineGenerateOptions => ({
        messages: [{ role: 'user', content }],
        maxTokens: 64,
        temperature,
        seed: i,
        topLogProbs: 2,
        ...(i === 1 && { topP: 0.9, repetitionPenalty: 1.1 }),
      }),
    )
    const plainly = []
    for (const request of requests) plainly.push(await engine.generateText({ ...request, speculate: false }))
    const policy = ngram({ minMatch: 1, maxNodes: 32 })
    const together = await Promise.all(requests.map((request) => engine.generateText({ ...request, policy })))
    for (const [i, { tokens, logProbs, speculation }] of together.entries()) {
      expect(tokens).toEqual(plainly[i]!.tokens)
      expect(isDeepStrictEqual(logProbs, plainly[i]!.logProbs)).toBe(true)
      accepted += speculation!.accepted
    }
  }
  expect(accepted).toBeGreaterThan(20)
  await expect(engine.generateText({ prompt: 'a', policy: dynamicTree() })).rejects.toThrow(/needs a draft head/)
})
