import { createDraftTree, type GenerationEvent, type Token, type Verdict } from '@hass-engine/core'
import { plain } from '@hass-engine/draft-tree'
import { createSampler } from '@hass-engine/sampler'
import { describe, expect, it, vi } from 'vitest'
import type { PreparedRequest } from './request.js'
import { RunningGeneration } from './running-generation.js'
import type { SpeculationCycle } from './speculation.js'
import type { SpeculativeSequence } from './speculative-sequence.js'
import { TextOutput } from './text-output.js'

const promptTokens = [1, 2, 3]
const stopToken = 99

function create(changes: Partial<PreparedRequest> = {}, onAbort: () => void = () => {}) {
  const request: PreparedRequest = {
    promptTokens,
    maxTokens: 8,
    sampler: createSampler({ seed: 5 }),
    stops: [],
    stopTokens: new Set([stopToken]),
    topLogProbs: undefined,
    speculate: true,
    policy: undefined,
    isCoupled: true,
    signal: undefined,
    ...changes,
  }
  const decoder = { push: (token: Token) => `<${token}>`, flush: () => '' }
  const generation = new RunningGeneration(request, plain(), new TextOutput(decoder, request.stops), onAbort)
  generation.sequence = { tokens: Uint32Array.of(...promptTokens, 10), rootPosition: 3 } as SpeculativeSequence
  return generation
}

/** A chain below the root, of which `accepted` nodes are kept. */
function cycle(root: Token, chain: readonly Token[], accepted: number, bonusToken: Token): SpeculationCycle {
  const tree = createDraftTree([root, ...chain], [-1, ...chain.keys()])
  const verdict: Verdict = { path: Uint32Array.from({ length: accepted + 1 }, (_, node) => node), bonusToken }
  return { tree, verdict, emitted: [...chain.slice(0, accepted), bonusToken], draftMs: 1, verifyMs: 2 }
}

async function eventsOf(generation: RunningGeneration): Promise<GenerationEvent[]> {
  const events: GenerationEvent[] = []
  for await (const event of generation.events) events.push(event)
  return events
}

describe('RunningGeneration', () => {
  it('shows prompt, texts, trees and the end, and counts what it took', async () => {
    const generation = create({ maxTokens: 4 })
    generation.cachedTokens = 2
    await generation.takeFirst(10)
    expect(generation.maxDepth).toBe(2)
    await generation.takeCycle(cycle(10, [11, 12, 13], 1, 14))
    expect([generation.isOver, generation.maxDepth]).toEqual([false, 0])
    await generation.takeCycle(cycle(14, [], 0, 15))
    expect(generation.isOver).toBe(true)
    const events = await eventsOf(generation)
    expect(events.map(({ type }) => type)).toEqual([
      'prefill-end',
      'text-delta',
      'draft-verified',
      'text-delta',
      'draft-verified',
      'text-delta',
      'finish',
    ])
    expect(await generation.result).toMatchObject({
      text: '<10><11><14><15>',
      finishReason: 'length',
      usage: { promptTokens: 3, completionTokens: 4, cachedTokens: 2 },
      speculation: {
        drafted: 3,
        accepted: 1,
        emitted: 3,
        targetCalls: 2,
        acceptanceLength: 1.5,
        draftMs: 2,
        verifyMs: 4,
      },
      seed: 5n,
    })
  })

  it('takes nothing behind a stop token or a stop text, whatever the cycle emitted', async () => {
    const byToken = create()
    await byToken.takeFirst(10)
    await byToken.takeCycle(cycle(10, [11, stopToken, 12], 3, 13))
    expect(await byToken.result).toMatchObject({ text: '<10><11>', finishReason: 'stop' })
    const byText = create({ stops: ['<12>'] })
    await byText.takeFirst(10)
    await byText.takeCycle(cycle(10, [11, 12, 13], 3, 14))
    expect(await byText.result).toMatchObject({ text: '<10><11>', finishReason: 'stop' })
    expect([...(await byText.result).tokens]).toEqual([10, 11, 12])
  })

  it('begins anew with all that it has said', async () => {
    const generation = create()
    await generation.takeFirst(10)
    await generation.takeCycle(cycle(10, [11], 1, 12))
    expect(generation.tokens).toEqual([...promptTokens, 10, 11, 12])
    // The prompt has been read before: it is not announced again.
    await generation.takeFirst(13)
    generation.fail(new Error('over'))
    const seen: string[] = []
    await expect(
      (async () => {
        for await (const { type } of generation.events) seen.push(type)
      })(),
    ).rejects.toThrow('over')
    expect(seen.filter((type) => type === 'prefill-end')).toHaveLength(1)
  })

  it('tells once that it is no longer wanted, by its caller or its reader, and listens to nobody once it is over', async () => {
    const controller = new AbortController()
    const onAbort = vi.fn()
    const generation = create({ signal: controller.signal }, onAbort)
    controller.abort(new Error('enough'))
    await generation.events.return()
    expect(onAbort).toHaveBeenCalledTimes(1)
    expect(generation.signal.reason).toMatchObject({ message: 'enough' })
    generation.fail(generation.signal.reason)
    await expect(generation.result).rejects.toThrow('enough')
    generation.fail(new Error('later'))
    await expect(generation.result).rejects.toThrow('enough')

    const left = create({}, onAbort)
    await left.events.return()
    expect(left.signal.reason).toMatchObject({ name: 'AbortError' })

    const late = new AbortController()
    const ended = create({ maxTokens: 1, signal: late.signal }, onAbort)
    await ended.takeFirst(10)
    late.abort()
    expect(ended.signal.aborted).toBe(false)
    expect(onAbort).toHaveBeenCalledTimes(2)
  })
})
