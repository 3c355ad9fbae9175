import { createDraftTree } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { floats, listGolden, readGoldenJson, readGoldenTensors } from '../../../test/support/golden.js'
import { exactMatch } from './exact-match.js'
import { createLogitsRows } from './logits-rows.js'
import { tokenOfUniform } from './random-draw.js'
import { recursiveRejection } from './recursive-rejection.js'
import { createSampler } from './sampler.js'
import { createTargetChooser } from './target-chooser.js'
import { typicalAcceptance } from './typical-acceptance.js'

interface PosteriorCase {
  kind: string
  draft_tokens: number[]
  parents: number[]
  temperature: number
  top_p: number | null
  top_k: number | null
  draws: number[]
  accept_length: number
  accepted_tokens: number[]
  decisions?: { position: number; token: number; p: number; u: number; accepted: boolean }[]
  next_draw_example?: { u: number; token: number }
  next_token?: number
}

const tolerance = 1e-5

describe.skipIf(listGolden('heads', /evaluate_posterior/).length === 0)('golden verification cases', () => {
  const { cases } = readGoldenJson('heads', 'evaluate_posterior.json') as { cases: PosteriorCase[] }
  const tensors = readGoldenTensors('heads', 'evaluate_posterior.safetensors')
  const named = cases.map((problem, index) => ({ name: `${index} ${problem.kind}`, problem, index }))

  function setUp({ problem, index }: (typeof named)[number]) {
    const { draft_tokens: tokens, parents, temperature, top_p: topP, top_k: topK } = problem
    const vocabSize = tensors.get(`case${index}.logits`)!.shape[1]!
    const sampler = createSampler({
      temperature,
      ...(topP ? { topP } : {}),
      ...(topK ? { topK } : {}),
      order: ['temperature', 'topP', 'topK'],
      seed: 0,
    })
    const logits = createLogitsRows(floats(tensors, `case${index}.logits`), vocabSize)
    return {
      tree: createDraftTree(tokens, parents),
      target: createTargetChooser({ sampler, logits, history: [] }),
      expectedProbs: tensors.get(`case${index}.sample_p`)?.data as Float32Array | undefined,
    }
  }

  function expectClose(probs: Float64Array, expected: Float32Array) {
    expect(probs.length).toBe(expected.length)
    for (const [token, prob] of probs.entries()) expect(Math.abs(prob - expected[token]!)).toBeLessThan(tolerance)
  }

  const sampled = named.filter(({ problem }) => problem.temperature > 0)
  const greedy = named.filter(({ problem }) => problem.temperature === 0)

  it.each(sampled)('recursiveRejection: $name', async (entry) => {
    const { problem } = entry
    const { tree, target, expectedProbs } = setUp(entry)
    const decisions: { position: number; token: number; p: number; u: number }[] = []
    const unused = [...problem.draws]
    // The rule changes the array that it was given: in the end it holds the distribution of the next token.
    let current = new Float64Array() as Float64Array
    const verifier = recursiveRejection({
      random(position, token) {
        if (token === undefined) return problem.next_draw_example!.u
        const u = unused.shift()!
        decisions.push({ position, token, p: current[token]!, u })
        return u
      },
    })
    const verdict = await verifier.verify({
      tree,
      rootPosition: 0,
      target: {
        choose: target.choose,
        async probs(node, path) {
          current = await target.probs(node, path)
          return current
        },
      },
    })
    expect(unused).toEqual([])
    expect(decisions.length).toBe(problem.decisions!.length)
    for (const [i, expected] of problem.decisions!.entries()) {
      const { position, token, u } = expected
      expect(decisions[i]).toMatchObject({ position, token, u })
      expect(Math.abs(decisions[i]!.p - expected.p)).toBeLessThan(tolerance)
    }
    expect([...verdict.path].map((node) => tree.tokens[node])).toEqual(problem.accepted_tokens)
    expect(verdict.path.length).toBe(problem.accept_length + 1)
    expectClose(current, expectedProbs!)
    expect(verdict.bonusToken).toBe(problem.next_draw_example!.token)
    expect(tokenOfUniform(current, problem.next_draw_example!.u)).toBe(problem.next_draw_example!.token)
  })

  it.each(greedy)('every rule at temperature 0: $name', async (entry) => {
    const { problem } = entry
    const random = () => 0.5
    for (const verifier of [exactMatch(), recursiveRejection({ random }), typicalAcceptance({ random })]) {
      const { tree, target } = setUp(entry)
      const verdict = await verifier.verify({ tree, target, rootPosition: 0 })
      expect([...verdict.path].map((node) => tree.tokens[node])).toEqual(problem.accepted_tokens)
      expect(verdict.path.length).toBe(problem.accept_length + 1)
      expect(verdict.bonusToken).toBe(problem.next_token)
    }
  })

  it('has cases of both sorts', () => {
    expect(sampled.length).toBeGreaterThan(0)
    expect(greedy.length).toBeGreaterThan(0)
  })
})
