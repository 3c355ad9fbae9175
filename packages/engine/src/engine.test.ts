import type { GenerationEvent, GenerationResult } from '@hass-engine/core'
import { chain, dynamicTree, plain } from '@hass-engine/draft-tree'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createEngine, type EngineComponents } from './create-engine.js'
import type { Engine } from './engine.js'
import type { EngineGenerateOptions } from './request.js'
import { endIdsOf, goldenHeads, TinyModels, targetOf, vocabSizeOf } from './testing/tiny-models.js'
import { createTinyTokenizer } from './testing/tiny-tokenizer.js'

const head = goldenHeads[0]!
const target = targetOf(head)
const place = { kind: 'cpu', threads: 1, head, cacheTokens: 384 } as const
const costs = { verify: { rows: [1, 64], ms: [1, 2] }, draft: { rows: [1, 64], ms: [0.05, 0.2] } }
const request: EngineGenerateOptions = { tokens: [5, 6, 7], maxTokens: 12, logitBias: { [endIdsOf(target)[0]!]: -100 } }

describe('Engine', () => {
  const models = new TinyModels()
  let parts: Pick<EngineComponents, 'target' | 'draft'>
  let engine: Engine
  const create = (changes: Partial<EngineComponents> = {}) => {
    engine = createEngine({
      ...parts,
      tokenizer: createTinyTokenizer(vocabSizeOf(target), endIdsOf(target)),
      policy: dynamicTree({ topK: 4, depth: 3, maxNodes: 15 }),
      costs,
      maxContext: 128,
      maxSequences: 4,
      prefillChunk: 8,
      keptPrefixes: 2,
      disposables: [],
      ...changes,
    })
    return engine
  }
  const free = () => [parts.target.cache.free, parts.draft!.cache.free]
  const whole = [place.cacheTokens, place.cacheTokens]

  beforeAll(async () => {
    parts = { target: await models.target(place), draft: await models.draft(place, 'golden') }
  })
  afterEach(async () => {
    await engine.dispose()
    expect(free()).toEqual(whole)
  })
  afterAll(() => models.dispose())

  it('leaves no row behind in 10 000 cycles of rejected drafts', async () => {
    const never = { ...chain({ depth: 2 }), observe: () => {} }
    create({ draft: await models.draft(place, 'random'), policy: never, keptPrefixes: 0 })
    const random = (await models.draft(place, 'random')).cache
    let cycles = 0
    let accepted = 0
    while (cycles < 10_000) {
      const results = await Promise.all(
        [1, 2, 3, 4].map((n) => engine.generateText({ ...request, tokens: [n], maxTokens: 120 })),
      )
      for (const { speculation } of results) {
        cycles += speculation!.targetCalls
        accepted += speculation!.accepted
      }
      expect([...free(), random.free]).toEqual([...whole, random.capacity])
    }
    expect(accepted).toBeLessThan(cycles / 10)
  }, 240_000)

  it('leaves no row behind after 1 000 aborted requests', async () => {
    create({ keptPrefixes: 0 })
    let aborted = 0
    for (let round = 0; round < 100; round++) {
      const runs = Array.from({ length: 10 }, async (_, i) => {
        const controller = new AbortController()
        const stream = engine.streamText({
          ...request,
          tokens: [round, i, 5, 6, 7, 8, 9, 10, 11],
          signal: controller.signal,
        })
        let events = 0
        const reading = (async () => {
          for await (const _ of stream) if (++events > i / 2) controller.abort()
        })()
        if (i % 3 === 0) controller.abort()
        await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
        aborted += 1
      })
      await Promise.all(runs)
    }
    expect(aborted).toBe(1000)
    expect(free()).toEqual(whole)
  }, 240_000)

  it('runs a hundred requests side by side, four at a time, each as if it were alone', async () => {
    create()
    const requests = Array.from({ length: 100 }, (_, i) => ({
      ...request,
      tokens: [i, i + 1, i % 3],
      seed: i,
      temperature: i % 2,
    }))
    const results = await Promise.all(requests.map((one) => engine.generateText(one)))
    for (const at of [0, 33, 99]) {
      const { tokens } = await engine.generateText({ ...requests[at]!, speculate: false })
      expect(results[at]!.tokens).toEqual(tokens)
    }
    expect(results.every(({ tokens }) => tokens.length === 12)).toBe(true)
  })

  it('delivers nothing past the end, wherever it lies in an accepted run, and counts as plain decoding does', async () => {
    create()
    const { tokens, text, speculation } = await engine.generateText({ ...request, maxTokens: 30 })
    expect(speculation!.acceptanceLength).toBeGreaterThan(1.3)
    const essence = ({ tokens, text, finishReason, usage }: GenerationResult) => {
      return { tokens, text, finishReason, usage: { ...usage, cachedTokens: 0 } }
    }
    for (let end = 1; end < 30; end++) {
      const endings = [{ maxTokens: end }, { stopTokens: [tokens[end]!] }, { stop: text.slice(end, end + 2) || 'x' }]
      for (const ending of endings) {
        const events: GenerationEvent[] = []
        const stream = engine.streamText({ ...request, maxTokens: 30, ...ending })
        for await (const event of stream) events.push(event)
        const result = await stream.result
        const plainly = await engine.generateText({ ...request, maxTokens: 30, ...ending, speculate: false })
        expect(essence(result)).toEqual(essence(plainly))
        const deltas = events.flatMap((event) => (event.type === 'text-delta' ? [event] : []))
        expect(deltas.flatMap((delta) => delta.tokens)).toEqual([...plainly.tokens])
        expect(deltas.map((delta) => delta.text).join('')).toBe(plainly.text)
        expect(result.speculation!.emitted).toBe(
          result.tokens.length - 1 + (result.finishReason === 'stop' && !('stop' in ending) ? 1 : 0),
        )
      }
    }
  })

  it('lets what fails take nobody along: processors, policies and trees of the caller', async () => {
    create({ keptPrefixes: 0 })
    const failure = new Error('mine')
    const fail = () => {
      throw failure
    }
    const policy = dynamicTree({ topK: 4, depth: 3, maxNodes: 15 })
    const builder = { expand: () => ({ tokens: new Uint32Array(), parents: new Uint32Array() }) }
    const tree = (tokens: readonly number[], parents: readonly number[]) => () => ({
      tokens: Uint32Array.from(tokens),
      parents: Int32Array.from(parents),
      depths: new Uint16Array(tokens.length),
      logProbs: new Float32Array(tokens.length),
    })
    const own: EngineGenerateOptions[] = [
      { processors: [{ name: 'fails', process: fail }] },
      { processors: [{ name: 'fails late', process: (_, { position }) => void (position > 8 && fail()) }] },
      { policy: { ...policy, start: fail } },
      { policy: { ...policy, start: () => ({ ...builder, expand: fail, finish: fail }) } },
      { policy: { ...policy, start: () => ({ ...builder, finish: fail }) } },
      { policy: { ...policy, observe: fail } },
    ]
    const nonsense: EngineGenerateOptions[] = [
      [
        [1, 2],
        [-1, 1],
      ],
      [
        [1, 2 ** 30],
        [-1, 0],
      ],
      [Array(99).fill(1), Array.from({ length: 99 }, (_, i) => i - 1)],
    ].map(([tokens, parents]) => ({
      policy: { ...policy, start: ({ root }) => ({ ...builder, finish: tree([root, ...tokens!.slice(1)], parents!) }) },
    }))
    nonsense.push({
      policy: {
        ...policy,
        start: (cycle) => ({
          ...policy.start(cycle),
          expand: () => ({ tokens: Uint32Array.of(1), parents: Uint32Array.of(9) }),
        }),
      },
    })
    nonsense.push({ policy: { ...policy, start: () => ({ ...builder, finish: tree([0], [-1]) }) }, tokens: [5, 6, 8] })
    const neighbour = engine.generateText(request)
    const refused = Promise.all([
      ...own.map((options) => expect(engine.generateText({ ...request, ...options })).rejects.toBe(failure)),
      ...nonsense.map((options) =>
        expect(engine.generateText({ ...request, ...options })).rejects.toMatchObject({
          code: 'HASS_ERR_INVALID_ARGUMENT',
        }),
      ),
    ])
    await refused
    expect((await neighbour).tokens).toEqual((await engine.generateText({ ...request, speculate: false })).tokens)
    expect(free()).toEqual(whole)
  })

  it('refuses a policy that needs a head where there is none', async () => {
    expect(() => create({ draft: undefined })).toThrow(/needs a draft head/)
    create({ draft: undefined, policy: plain() })
    await expect(engine.generateText({ ...request, policy: chain() })).rejects.toThrow(/needs a draft head/)
    expect((await engine.generateText(request)).tokens).toHaveLength(12)
  })

  it('is aborted twice, and after its end, as if once and never', async () => {
    create()
    const first = new AbortController()
    const running = engine.generateText({ ...request, signal: first.signal })
    first.abort(new Error('first'))
    first.abort(new Error('second'))
    await expect(running).rejects.toThrow('first')
    const late = new AbortController()
    const result = await engine.generateText({ ...request, signal: late.signal })
    late.abort()
    expect(result.tokens).toHaveLength(12)
  })

  it('ends a generation whose reader leaves, also one who waits or has not begun', async () => {
    create({ keptPrefixes: 0 })
    for await (const _ of engine.streamText({ ...request, maxTokens: 120 }).textStream) break
    const stream = engine.streamText({ ...request, maxTokens: 120 })
    const events = stream[Symbol.asyncIterator]()
    const waiting = events.next()
    await events.return?.()
    expect(await waiting).toEqual({ done: true, value: undefined })
    await expect(stream.result).rejects.toThrow(/left before its end/)
    await engine
      .streamText({ ...request, maxTokens: 120 })
      [Symbol.asyncIterator]()
      .return?.()
    {
      await using unread = engine.streamText({ ...request, maxTokens: 120 })
      expect(unread.result).toBeInstanceOf(Promise)
    }
    // What is left is ended before another generation's first step.
    await engine.generateText({ ...request, maxTokens: 1 })
    expect(free()).toEqual(whole)
  })

  it('shows the result to those who never read the events', async () => {
    create()
    const { tokens } = await engine.streamText(request).result
    expect(tokens).toEqual((await engine.generateText(request)).tokens)
  })

  it('is disposed while it streams, twice, and of no use after that', async () => {
    create()
    const stream = engine.streamText({ ...request, maxTokens: 100 })
    const disposed: unknown[] = []
    for await (const event of stream) {
      if (event.type !== 'text-delta') continue
      disposed.push(engine.dispose(), engine.dispose())
      break
    }
    await Promise.all(disposed)
    await expect(stream.result).rejects.toThrow()
    await engine[Symbol.asyncDispose]()
    await expect(engine.generateText(request)).rejects.toMatchObject({ code: 'HASS_ERR_DISPOSED' })
    const after = engine.streamText(request)
    await expect(after.result).rejects.toMatchObject({ code: 'HASS_ERR_DISPOSED' })
    await expect(after[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'HASS_ERR_DISPOSED' })
  })

  it('rejects what waits and runs when it is disposed', async () => {
    create({ maxSequences: 1 })
    const runs = [1, 2, 3].map((token) => engine.generateText({ ...request, tokens: [token], maxTokens: 100 }))
    const settled = Promise.allSettled(runs)
    await engine.streamText({ ...request, maxTokens: 1 }).textStream[Symbol.asyncIterator]
    await new Promise((resolve) => setTimeout(resolve, 5))
    await engine.dispose()
    for (const result of await settled) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'HASS_ERR_DISPOSED' } })
    }
  })

  it('reads a conversation that goes on from its cache', async () => {
    create()
    const first = await engine.generateText(request)
    const tokens = [...Array.from(request.tokens!), ...first.tokens, 9, 10]
    const next = await engine.generateText({ ...request, tokens })
    expect(next.usage.cachedTokens).toBeGreaterThan(8)
    const { usage, ...plainly } = await engine.generateText({ ...request, tokens, speculate: false })
    expect([usage.cachedTokens! > 8, next.tokens]).toEqual([true, plainly.tokens])
  })

  it('reports events in order, with trees and verdicts, and times that fit together', async () => {
    create()
    const events: GenerationEvent[] = []
    for await (const event of engine.streamText(request)) events.push(event)
    expect(events[0]).toEqual({ type: 'prefill-end', promptTokens: 3 })
    const last = events.at(-1)!
    if (last.type !== 'finish') throw new Error(`the last event is ${last.type}`)
    const { timings, speculation } = last.result
    expect(events.filter(({ type }) => type === 'draft-verified')).toHaveLength(speculation!.targetCalls)
    expect(timings.prefillMs).toBeLessThanOrEqual(timings.firstTokenMs!)
    expect(timings.prefillMs! + timings.decodeMs!).toBeLessThanOrEqual(timings.totalMs)
    expect(speculation!.draftMs! + speculation!.verifyMs! + speculation!.otherMs!).toBeCloseTo(timings.decodeMs!, 3)
  })
})
