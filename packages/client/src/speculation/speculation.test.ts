import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ResponseError } from '../errors.js'
import {
  sglangMeta2024,
  sglangMeta2025,
  sglangMeta2026,
  sglangMetrics,
  sglangServerInfo,
  vllmMetrics,
} from '../testing/replayed.js'
import { parseMetrics } from './prometheus.js'
import { readSglangServerInfo } from './server-info.js'
import { readSglangSpeculation } from './sglang-meta.js'
import { readSpeculationCounters, speculationBetween } from './speculation-counters.js'

describe('SGLang’s meta_info', () => {
  it('means the same under old and new names', () => {
    const statistics = readSglangSpeculation(sglangMeta2025)
    expect(statistics).toEqual({
      drafted: 280,
      accepted: 59,
      emitted: 99,
      targetCalls: 40,
      acceptanceLength: 2.5,
      depths: [
        { drafted: 40, accepted: 30 },
        { drafted: 40, accepted: 18 },
        { drafted: 40, accepted: 8 },
        { drafted: 40, accepted: 1 },
      ],
    })
    expect(readSglangSpeculation(sglangMeta2026)).toEqual(statistics)
    const { spec_num_correct_drafts, spec_num_proposed_drafts, ...between } = sglangMeta2026
    const names2025 = { spec_accepted_drafts: spec_num_correct_drafts, spec_proposed_drafts: spec_num_proposed_drafts }
    expect(readSglangSpeculation({ ...between, ...names2025 })).toEqual(statistics)
  })

  it('gives τ as completion tokens by verify passes where nothing else is told, and no other number', () => {
    expect(readSglangSpeculation(sglangMeta2024)).toEqual({
      drafted: Number.NaN,
      accepted: Number.NaN,
      emitted: 99,
      targetCalls: 40,
      acceptanceLength: 2.5,
    })
  })

  it('counts what a histogram and a rate tell', () => {
    const { spec_accept_token_num: _, spec_draft_token_num: __, ...rest } = sglangMeta2025
    expect(readSglangSpeculation(rest)).toMatchObject({ accepted: 57, drafted: 285 })
  })

  it('says nothing of a server that does not speculate', () => {
    expect(readSglangSpeculation({ completion_tokens: 5 })).toBeUndefined()
    expect(readSglangSpeculation({ completion_tokens: 5, spec_verify_ct: 0, spec_accept_length: 0 })).toBeUndefined()
  })

  it('refuses what is no count', () => {
    for (const wrong of [{ spec_verify_ct: -1 }, { spec_verify_ct: '4' }, { spec_accept_histogram: [1.5] }]) {
      expect(() => readSglangSpeculation({ ...sglangMeta2025, ...wrong })).toThrow(
        expect.objectContaining({ code: 'HASS_ERR_RESPONSE' }),
      )
    }
  })
})

it('reads SGLang’s server info, with and without speculation', () => {
  expect(readSglangServerInfo(sglangServerInfo)).toEqual({
    model: 'meta-llama/Llama-2-7b-chat-hf',
    draftModel: 'lmsys/sglang-EAGLE-llama2-chat-7B',
    version: '0.5.6',
    speculation: { algorithm: 'EAGLE', steps: 3, topK: 4, draftTokens: 16, acceptanceLength: 3 },
  })
  expect(readSglangServerInfo({ model_path: 'm', speculative_algorithm: null, internal_states: [{}] })).toEqual({
    model: 'm',
  })
})

describe('counters', () => {
  it('of vLLM are summed over engines and taken from one another', () => {
    const before = readSpeculationCounters(vllmMetrics(100, 300, 150, [80, 50, 20]))
    const after = readSpeculationCounters(vllmMetrics(120, 360, 180, [96, 60, 24]))
    expect(before).toEqual({ drafts: 100, draftTokens: 300, acceptedTokens: 150, acceptedPerPosition: [80, 50, 20] })
    expect(speculationBetween(before, after)).toEqual({
      drafted: 60,
      accepted: 30,
      emitted: 50,
      targetCalls: 20,
      acceptanceLength: 2.5,
      depths: [
        { drafted: 20, accepted: 16 },
        { drafted: 20, accepted: 10 },
        { drafted: 20, accepted: 4 },
      ],
    })
  })

  it('without `_total` are the same', () => {
    const page = vllmMetrics(4, 12, 6, [4, 2])
    expect(readSpeculationCounters(page.replaceAll('_total', ''))).toEqual(readSpeculationCounters(page))
  })

  it('say nothing where nothing was drafted', () => {
    expect(readSpeculationCounters('process_cpu_seconds_total 5\n')).toEqual({})
    expect(speculationBetween({}, {})).toBeUndefined()
    expect(speculationBetween({ drafts: 5 }, { drafts: 5 })).toBeUndefined()
  })

  it('that went back are an error', () => {
    expect(() => speculationBetween({ drafts: 5, acceptedTokens: 9 }, { drafts: 6, acceptedTokens: 1 })).toThrow(/anew/)
  })

  it('of SGLang are averaged over the ranks that worked', () => {
    expect(readSpeculationCounters(sglangMetrics)).toEqual({ recentAcceptanceLength: 3.2 })
  })

  it('do not follow a label into a billion positions', () => {
    const page = 'vllm:spec_decode_num_accepted_tokens_per_pos_total{position="1000000000"} 1\n'
    expect(readSpeculationCounters(page)).toEqual({})
  })
})

describe('metrics pages', () => {
  it('give names, labels and values', () => {
    const page = 'a{x="1",y="\\"q\\\\n\\n"} 1e3 170\r\n# c\n\nb  -Inf\nc{} NaN\nd{x="}",} +Inf\n'
    expect(parseMetrics(page)).toEqual([
      {
        name: 'a',
        labels: new Map([
          ['x', '1'],
          ['y', '"q\\n\n'],
        ]),
        value: 1000,
      },
      { name: 'b', labels: new Map(), value: -Infinity },
      { name: 'c', labels: new Map(), value: Number.NaN },
      { name: 'd', labels: new Map([['x', '}']]), value: Infinity },
    ])
  })

  it.each([['a'], ['a{x=1} 2'], ['a{x="1" 2'], ['a 0x10'], ['a 1.2.3'], ['a one']])('are refused with %j', (line) => {
    expect(() => parseMetrics(line)).toThrow(expect.objectContaining({ code: 'HASS_ERR_RESPONSE' }))
  })

  it('of any kind are read or refused', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (page) => {
        try {
          parseMetrics(page)
        } catch (error) {
          if (!(error instanceof ResponseError)) throw error
        }
      }),
    )
  })
})
