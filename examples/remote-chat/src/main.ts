import assert from 'node:assert/strict'
import { type Client, createClient, type ServerKind, StreamTruncatedError } from '@hass-engine/client'
import type { ChatMessage } from '@hass-engine/core'
import { loadEngine } from '@hass-engine/engine'
import { serve } from './serve.js'

const questions = ['Which planet is called the red planet?', 'How many days are in a week?']

/** Asks one question after the other, each with all that was said before. */
async function converse(client: Client): Promise<ChatMessage[]> {
  const messages: ChatMessage[] = []
  for (const content of questions) {
    messages.push({ role: 'user', content })
    console.log(`› ${content}`)
    await using stream = client.streamText({ messages, maxTokens: 60 })
    for await (const text of stream.textStream) process.stdout.write(text)
    const { text, usage, speculation } = await stream.result
    messages.push({ role: 'assistant', content: text })
    const tau = speculation ? `, τ ${speculation.acceptanceLength.toFixed(2)}` : ''
    console.log(`\n  (${usage.completionTokens} tokens${tau})`)
  }
  return messages
}

const [baseURL, server = 'openai'] = process.argv.slice(2)
if (baseURL !== undefined) {
  await using client = createClient({ baseURL, server: server as ServerKind })
  await converse(client)
} else {
  await using engine = await loadEngine({ draft: 'ngram' })
  await using local = await serve(engine)
  await using client = createClient({ baseURL: local.url, server: 'hass' })
  const messages = await converse(client)

  // What came over the wire is what the engine says.
  const here = await engine.generateText({ messages: messages.slice(0, 1), maxTokens: 60 })
  assert.equal(messages[1]!.content, here.text)

  console.log('› A server that dies halfway is no answer:')
  let shown = ''
  const stream = client.streamText({
    messages: [{ role: 'user', content: 'Write a story about a cat.' }],
    maxTokens: 200,
  })
  try {
    for await (const text of stream.textStream) {
      shown += text
      if (shown.length > 40) local.crash()
    }
    assert.fail('Half a text was taken for a whole one.')
  } catch (error) {
    assert.ok(error instanceof StreamTruncatedError)
    assert.ok(error.partialText.startsWith(shown))
    console.log(`  ${error.code}, with ${error.partialText.length} characters to go on from`)
  }
}
