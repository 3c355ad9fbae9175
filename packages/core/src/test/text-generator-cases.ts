import assert from 'node:assert/strict'
import type { GenerateOptions, GenerationEvent, TextGenerator } from '../generation.js'
import type { ContractCase } from './contract-case.js'

/**
 * What every `TextGenerator` must keep, a local engine as well as a client of a server.
 *
 * @param options a request that yields at least three tokens, greedily or with a seed, without ending by itself
 * @param facts `tellsTokens` is false for a client of a server that does not say which tokens it emitted
 */
export function textGeneratorCases(
  create: () => TextGenerator | Promise<TextGenerator>,
  options: GenerateOptions = { prompt: 'Once upon a time', maxTokens: 8 },
  { tellsTokens = true }: { readonly tellsTokens?: boolean } = {},
): ContractCase[] {
  return [
    {
      name: 'counts what it generates',
      async run() {
        const result = await (await create()).generateText(options)
        assert.ok(result.usage.completionTokens > 0)
        assert.ok(result.usage.promptTokens > 0)
        assert.equal(result.tokens.length, tellsTokens ? result.usage.completionTokens : 0)
        assert.ok(result.usage.completionTokens <= (options.maxTokens ?? Infinity))
      },
    },
    {
      name: 'streams the text that it generates at once',
      async run() {
        const generator = await create()
        const whole = await generator.generateText(options)
        const stream = generator.streamText(options)
        const events: GenerationEvent[] = []
        for await (const event of stream) events.push(event)
        const deltas = events.filter((event) => event.type === 'text-delta')
        assert.equal(deltas.map((delta) => delta.text).join(''), whole.text)
        assert.equal((await stream.result).text, whole.text)
        assert.equal(events.at(-1)?.type, 'finish')
        assert.equal(events.filter((event) => event.type === 'finish').length, 1)
      },
    },
    {
      name: 'offers the text alone',
      async run() {
        const generator = await create()
        let text = ''
        for await (const part of generator.streamText(options).textStream) text += part
        assert.equal(text, (await generator.generateText(options)).text)
      },
    },
    {
      name: 'stops at maxTokens and says so',
      async run() {
        const result = await (await create()).generateText({ ...options, maxTokens: 2 })
        assert.equal(result.usage.completionTokens, 2)
        assert.equal(result.finishReason, 'length')
      },
    },
    {
      name: 'gives the same text for the same seed',
      async run() {
        const generator = await create()
        const seeded = { ...options, temperature: 1, seed: 42 }
        assert.equal((await generator.generateText(seeded)).text, (await generator.generateText(seeded)).text)
      },
    },
    {
      name: 'rejects with the reason of an aborted signal',
      async run() {
        const reason = new Error('changed my mind')
        const generator = await create()
        const request = { ...options, signal: AbortSignal.abort(reason) }
        await assert.rejects(generator.generateText(request), (error) => error === reason)
        await assert.rejects(generator.streamText(request).result, (error) => error === reason)
      },
    },
    {
      name: 'can be aborted in the middle of a stream, and is of use afterwards',
      async run() {
        const generator = await create()
        const controller = new AbortController()
        const reason = new Error('enough')
        const stream = generator.streamText({ ...options, signal: controller.signal })
        const reading = (async () => {
          for await (const event of stream) if (event.type === 'text-delta') controller.abort(reason)
        })()
        await assert.rejects(reading, (error) => error === reason)
        await assert.rejects(stream.result, (error) => error === reason)
        assert.ok((await generator.generateText(options)).text.length > 0)
      },
    },
    {
      name: 'may be left in the middle of a stream',
      async run() {
        const generator = await create()
        {
          const stream = generator.streamText(options)
          for await (const event of stream) if (event.type === 'text-delta') break
          await stream[Symbol.asyncDispose]()
          await stream[Symbol.asyncDispose]()
        }
        assert.ok((await generator.generateText(options)).text.length > 0)
      },
    },
    {
      name: 'refuses options that it does not know',
      async run() {
        const wrong = { ...options, temprature: 1 } as GenerateOptions
        await assert.rejects((await create()).generateText(wrong), { code: 'HASS_ERR_INVALID_ARGUMENT' })
      },
    },
    {
      name: 'refuses a temperature that is no number, and a request for nothing',
      async run() {
        const generator = await create()
        const expected = { code: 'HASS_ERR_INVALID_ARGUMENT' }
        await assert.rejects(generator.generateText({ ...options, temperature: Number.NaN }), expected)
        await assert.rejects(generator.generateText({ maxTokens: 3 }), expected)
      },
    },
  ]
}
