import { dynamicTree, plain } from '@hass-engine/draft-tree'
import type { DeviceTargetModel } from '@hass-engine/models'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { createEngine, type EngineComponents } from './create-engine.js'
import type { Engine } from './engine.js'
import type { EngineGenerateOptions } from './request.js'
import { endIdsOf, goldenHeads, TinyModels, targetOf, vocabSizeOf } from './testing/tiny-models.js'
import { createTinyTokenizer } from './testing/tiny-tokenizer.js'

const head = goldenHeads[0]!
const targetName = targetOf(head)
const logitBias = { [endIdsOf(targetName)[0]!]: -100 }

/** A pass as the scheduler asked for it: rows of each sequence. */
type Pass = readonly number[]

describe('Scheduler', () => {
  const models = new TinyModels()
  let engine: Engine
  afterEach(() => engine.dispose())
  afterAll(() => models.dispose())

  async function create(cacheTokens: number, changes: Partial<EngineComponents> = {}) {
    const place = { kind: 'cpu', threads: 1, head, cacheTokens } as const
    const target = await models.target(place)
    const passes: Pass[] = []
    const watched = new Proxy(target, {
      get(object, key) {
        const value = Reflect.get(object, key, object)
        if (key === 'forward') {
          const forward: DeviceTargetModel['forward'] = (steps, options) => {
            passes.push(steps.map(({ tokens }) => tokens.length))
            return object.forward(steps, options)
          }
          return forward
        }
        return typeof value === 'function' ? value.bind(object) : value
      },
    })
    engine = createEngine({
      target: watched,
      draft: await models.draft(place, 'golden'),
      tokenizer: createTinyTokenizer(vocabSizeOf(targetName), endIdsOf(targetName)),
      policy: plain(),
      costs: undefined,
      maxContext: 128,
      maxSequences: 4,
      prefillChunk: 4,
      keptPrefixes: 0,
      disposables: [],
      ...changes,
    })
    return { passes, target }
  }

  const request = (tokens: readonly number[], maxTokens: number): EngineGenerateOptions => {
    return { tokens, maxTokens, logitBias }
  }

  it('reads prompts in chunks between the cycles of others, and decodes all in one pass', async () => {
    const { passes } = await create(256)
    const first = engine.generateText(request([5], 6))
    const second = engine.generateText(request([5, 6, 7, 8, 9, 10], 2))
    await Promise.all([first, second])
    expect(passes).toEqual([[1], [1], [4], [1], [2], [1, 1], [1], [1]])
  })

  it('lets no more decode side by side than it is told', async () => {
    const { passes } = await create(256, { maxSequences: 2 })
    await Promise.all([1, 2, 3, 4, 5].map((token) => engine.generateText(request([token], 5))))
    expect(Math.max(...passes.map((pass) => pass.length))).toBe(2)
  })

  it('has the youngest begin anew where rows run out, with the text that it would have had', async () => {
    const { passes, target } = await create(40)
    const requests = [1, 2, 3].map((token) => request([token, 5, 6, 7], 25))
    const results = await Promise.all(requests.map((one) => engine.generateText(one)))
    // A prompt of four tokens is one chunk; longer ones are texts that were read again.
    const chunks = passes.filter((pass) => pass.length === 1 && pass[0]! > 1).length
    expect(chunks).toBeGreaterThan(requests.length)
    expect(target.cache.free).toBe(40)
    for (const [i, { tokens, usage }] of results.entries()) {
      expect(usage).toEqual({ promptTokens: 4, completionTokens: 25, cachedTokens: 0 })
      expect(tokens).toEqual((await engine.generateText(requests[i]!)).tokens)
    }
  })

  it('cuts trees to the rows that are left, and speaks on to the last one', async () => {
    const policy = dynamicTree({ topK: 8, depth: 4, maxNodes: 40 })
    const { passes, target } = await create(40, { policy, keptPrefixes: 1 })
    const { tokens } = await engine.generateText(request([1, 5, 6, 7], 35))
    expect(passes.some(([rows]) => rows! > 10)).toBe(true)
    expect(passes.at(-1)![0]).toBeLessThan(10)
    expect(tokens).toEqual((await engine.generateText({ ...request([1, 5, 6, 7], 35), speculate: false })).tokens)
    await engine.dispose()
    expect(target.cache.free).toBe(40)
  })

  it('gives kept prefixes up before anything else', async () => {
    const { target } = await create(40, { keptPrefixes: 4 })
    await engine.generateText(request([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 10))
    expect(target.cache.free).toBe(40 - 19)
    await engine.generateText(request([11, 12, 13, 14, 15, 16, 17, 18, 19, 20], 20))
    expect(target.cache.free).toBe(40 - 29)
  })

  it('makes those wait who come while there is no room', async () => {
    const { passes } = await create(40)
    const long = request([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 20)
    const others = [20, 30].map((token) => request([token, ...Array.from({ length: 11 }, (_, i) => i)], 3))
    const results = await Promise.all([long, ...others].map((one) => engine.generateText(one)))
    expect(results.map(({ tokens }) => tokens.length)).toEqual([20, 3, 3])
    expect(Math.max(...passes.map((pass) => pass.length))).toBeGreaterThan(1)
  })

  it('tells policies the rate of drafting, which plain decoding does not change', async () => {
    await create(256)
    const rates: (number | undefined)[] = []
    const tree = dynamicTree({ topK: 2, depth: 1, maxNodes: 3 })
    const policy = {
      ...tree,
      start(cycle: Parameters<typeof tree.start>[0]) {
        rates.push(cycle.rate)
        return tree.start(cycle)
      },
    }
    await engine.generateText(request([5], 6))
    await engine.generateText({ ...request([5], 12), policy })
    expect(rates[0]).toBeUndefined()
    expect(rates.at(-1)).toBeGreaterThan(0)
  })
})
