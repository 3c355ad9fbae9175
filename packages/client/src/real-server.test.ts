import { textGeneratorCases } from '@hass-engine/core/test'
import { afterAll, describe, expect, it } from 'vitest'
import type { ServerKind } from './client-options.js'
import { createClient } from './create-client.js'

// Set by `npm run test:servers`, which starts one: a server that is real. No other run takes this file.
const { HASS_TEST_SERVER: baseURL = '', HASS_TEST_SERVER_KIND = 'openai', HASS_TEST_MODEL = 'default' } = process.env
const server = HASS_TEST_SERVER_KIND as ServerKind

describe(`a real server of the kind ${server}`, () => {
  const client = createClient({ baseURL, server, model: HASS_TEST_MODEL })
  afterAll(() => client[Symbol.asyncDispose]())

  const requests = {
    completion: { prompt: 'Once upon a time', maxTokens: 8 },
    chat: { messages: [{ role: 'user', content: 'Which planet is called the red planet?' }], maxTokens: 8 },
  }
  for (const [name, request] of Object.entries(requests)) {
    for (const { name: promise, run } of textGeneratorCases(() => client, request, {
      tellsTokens: server !== 'openai',
    })) {
      it(`${name}: ${promise}`, () => run(), 600_000)
    }
  }

  it('names its models', async () => {
    expect((await client.listModels()).length).toBeGreaterThan(0)
  })

  it('ends at a stop text, which is no part of the text', async () => {
    const options = { prompt: 'One, two, three, four,', maxTokens: 20 }
    const { text } = await client.generateText(options)
    const stop = text.trim().split(/\s+/)[1]!
    const cut = await client.generateText({ ...options, stop })
    expect(cut).toMatchObject({ text: text.slice(0, text.indexOf(stop)), finishReason: 'stop' })
  }, 600_000)

  it('keeps what was said when its stream is left, and answers the next', async () => {
    for await (const event of client.streamText(requests.chat)) if (event.type === 'text-delta') break
    expect((await client.generateText(requests.chat)).text).toMatch(/\w/)
  }, 600_000)
})
