import type { TreePolicy } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { type EngineGenerateOptions, prepareRequest } from './request.js'
import { createTinyTokenizer } from './testing/tiny-tokenizer.js'

const vocabSize = 400
const context = { tokenizer: createTinyTokenizer(vocabSize, [2, 3]), vocabSize, maxContext: 16 }
const prepare = (options: unknown) => prepareRequest(options as EngineGenerateOptions, context)

describe('prepareRequest', () => {
  it('takes a prompt, messages or tokens', async () => {
    expect((await prepare({ prompt: 'abc' })).promptTokens).toHaveLength(3)
    expect((await prepare({ messages: [{ role: 'u', content: '' }] })).promptTokens).toHaveLength(
      '[u][assistant]'.length,
    )
    expect((await prepare({ tokens: Uint32Array.of(5, 6) })).promptTokens).toEqual([5, 6])
  })

  it('fills in what is not said', async () => {
    const request = await prepare({ tokens: [5, 6], stop: 'x', stopTokens: [9] })
    expect(request).toMatchObject({ maxTokens: 14, stops: ['x'], speculate: true, isCoupled: true })
    expect([...request.stopTokens]).toEqual([2, 3, 9])
    expect(request.sampler.rule.temperature).toBe(0)
    expect((await prepare({ tokens: [5], maxTokens: 99 })).maxTokens).toBe(15)
    expect((await prepare({ tokens: [5], stop: ['a', 'b'] })).stops).toEqual(['a', 'b'])
  })

  it('refuses a prompt that leaves no room for a token, before it copies or reads it', async () => {
    const expected = { code: 'HASS_ERR_CONTEXT_LENGTH', details: { promptTokens: 16, maxContext: 16 } }
    await expect(prepare({ tokens: new Uint32Array(16) })).rejects.toMatchObject(expected)
    await expect(prepare({ prompt: 'a'.repeat(16) })).rejects.toMatchObject(expected)
    await expect(prepare({ tokens: { length: 2 ** 40 } })).rejects.toMatchObject({ code: 'HASS_ERR_CONTEXT_LENGTH' })
  })

  const policy: Partial<TreePolicy> = { name: 'no policy' }
  it.each<[string, unknown]>([
    ['no options', undefined],
    ['null', null],
    ['text alone', 'prompt'],
    ['nothing to continue', {}],
    ['two prompts', { prompt: 'a', tokens: [5] }],
    ['three prompts', { prompt: 'a', tokens: [5], messages: [] }],
    ['an unknown option', { prompt: 'a', temprature: 1 }],
    ['an empty prompt', { prompt: '' }],
    ['a prompt that is no text', { prompt: 7 }],
    ['no tokens', { tokens: [] }],
    ['tokens that are none', { tokens: 7 }],
    ['tokens without a length', { tokens: { length: Number.NaN } }],
    ['missing tokens', { tokens: { length: 2 } }],
    ['a token too large', { tokens: [5, vocabSize] }],
    ['a negative token', { tokens: [-1] }],
    ['half a token', { tokens: [1.5] }],
    ['a token that is text', { tokens: ['5'] }],
    ['messages that are none', { messages: 'hello' }],
    ['chat without messages', { prompt: 'a', chat: {} }],
    ['a temperature that is no number', { prompt: 'a', temperature: Number.NaN }],
    ['a negative temperature', { prompt: 'a', temperature: -1 }],
    ['topP 0', { prompt: 'a', topP: 0 }],
    ['topK 0', { prompt: 'a', topK: 0 }],
    ['a seed that is none', { prompt: 'a', seed: 0.5 }],
    ['no tokens wanted', { prompt: 'a', maxTokens: 0 }],
    ['endless tokens wanted', { prompt: 'a', maxTokens: Infinity }],
    ['an empty stop text', { prompt: 'a', stop: '' }],
    ['an empty stop text among others', { prompt: 'a', stop: ['b', ''] }],
    ['a stop text that is none', { prompt: 'a', stop: [5] }],
    ['stop that is no text', { prompt: 'a', stop: 5 }],
    ['stopTokens that are no array', { prompt: 'a', stopTokens: 5 }],
    ['a stop token out of range', { prompt: 'a', stopTokens: [vocabSize] }],
    ['a bias out of range', { prompt: 'a', logitBias: { [vocabSize]: 1 } }],
    ['a bias that is no number', { prompt: 'a', logitBias: { 5: Number.NaN } }],
    ['a banned token out of range', { prompt: 'a', bannedTokens: [vocabSize] }],
    ['a forced token out of range', { prompt: 'a', forcedTokens: { 0: vocabSize } }],
    ['half a log-probability', { prompt: 'a', topLogProbs: 0.5 }],
    ['a signal that is none', { prompt: 'a', signal: {} }],
    ['a policy that is none', { prompt: 'a', policy }],
    ['speculate that is neither', { prompt: 'a', speculate: 1 }],
    ['isCoupled that is neither', { prompt: 'a', isCoupled: 'yes' }],
  ])('refuses %s', async (_, options) => {
    await expect(prepare(options)).rejects.toMatchObject({ code: 'HASS_ERR_INVALID_ARGUMENT' })
  })
})
