import { textGeneratorCases } from '@hass-engine/core/test'
import { costAware } from '@hass-engine/draft-tree'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { goldenPath } from '../../../test/support/golden.js'
import { type Engine, loadEngine } from './index.js'
import { createModelFolder, goldenHeads, targetOf } from './testing/tiny-models.js'

const head = goldenHeads[0]!

describe('loadEngine', () => {
  let folder: Awaited<ReturnType<typeof createModelFolder>>
  let engine: Engine
  const costs = { verify: { rows: [1, 64], ms: [1, 2] }, draft: { rows: [1, 64], ms: [0.05, 0.2] } }

  beforeAll(async () => {
    folder = await createModelFolder(targetOf(head))
    engine = await loadEngine({ model: folder.path, draft: goldenPath('heads', head), costs, contextTokens: 128 })
  })
  afterAll(async () => {
    await engine.dispose()
    await folder.dispose()
  })

  describe('gives a text generator that', () => {
    for (const { name, run } of textGeneratorCases(() => engine)) it(name, run)
  })

  it('answers a conversation', async () => {
    const result = await engine.generateText({ messages: [{ role: 'user', content: 'Hi' }], maxTokens: 5 })
    expect(result.usage.promptTokens).toBe('[user]Hi[assistant]'.length)
    expect(result.text).toBe(engine.tokenizer.decode(result.tokens))
  })

  it('keeps to contextTokens, prompt and answer together', async () => {
    const logitBias = Object.fromEntries(engine.tokenizer.endOfGenerationIds.map((id) => [id, -100]))
    const { usage, finishReason } = await engine.generateText({ prompt: 'a'.repeat(120), logitBias })
    expect([usage.completionTokens, finishReason]).toEqual([8, 'length'])
    await expect(engine.generateText({ prompt: 'a'.repeat(128) })).rejects.toMatchObject({
      code: 'HASS_ERR_CONTEXT_LENGTH',
      details: { promptTokens: 128, maxContext: 128 },
    })
  })

  it('drafts with a head, with the text itself, or not at all, and says the same', async () => {
    const request = { prompt: 'abcabcabc', maxTokens: 20 }
    const { text, speculation } = await engine.generateText(request)
    expect([engine.policy.name, speculation!.drafted > 0]).toEqual(['cost-aware+ngram', true])
    for (const [draft, policy] of [
      ['ngram', 'ngram'],
      [false, 'plain'],
      [undefined, 'plain'],
    ] as const) {
      await using other = await loadEngine({ model: folder.path, ...(draft !== undefined && { draft }) })
      expect(other.policy.name).toBe(policy)
      expect(other.costs?.verify.rows.length).toBe(draft === 'ngram' ? 12 : undefined)
      expect((await other.generateText(request)).text).toBe(text)
    }
  })

  it.each<[string, Record<string, unknown>]>([
    ['an unknown option', { modle: 'x' }],
    ['a context of one token', { contextTokens: 1 }],
    ['a context longer than the model has', { contextTokens: 1e6 }],
    ['a cache smaller than the context', { contextTokens: 64, cacheTokens: 63 }],
    ['no sequences', { maxSequences: 0 }],
    ['half a chunk', { prefillChunk: 0.5 }],
    ['fewer than no prefixes', { keptPrefixes: -1 }],
    ['no threads', { threads: 0 }],
    ['a device that is none', { device: 'abacus' }],
    ['a policy without the head it needs', { policy: costAware() }],
  ])('refuses %s', async (_, options) => {
    await expect(loadEngine({ model: folder.path, ...options })).rejects.toMatchObject({
      code: 'HASS_ERR_INVALID_ARGUMENT',
    })
  })

  it('refuses what is no model, or no head of the model', async () => {
    await expect(loadEngine({ model: '/nowhere' })).rejects.toMatchObject({ code: expect.stringMatching(/^HASS_ERR_/) })
    await expect(loadEngine({ model: folder.path, draft: folder.path })).rejects.toMatchObject({
      code: expect.stringMatching(/^HASS_ERR_/),
    })
  })

  it('ends loading with the reason of the signal', async () => {
    const reason = new Error('too slow')
    await expect(loadEngine({ model: folder.path, signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
  })
})
