import { textGeneratorCases } from '@hass-engine/core/test'
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
})
