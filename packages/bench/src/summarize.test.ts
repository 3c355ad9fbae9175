import { describe, expect, it } from 'vitest'
import { createDataSet } from './data-set.js'
import { markdownReport } from './markdown-report.js'
import { detailTable, findings, paperTable } from './results-tables.js'
import { runBenchmark } from './run-benchmark.js'
import { summarize } from './summarize.js'
import { textTable } from './table.js'
import { createScriptedGenerator } from './testing/scripted-generator.js'

const set = (name: string, title: string, questions: readonly string[]) =>
  createDataSet(
    name,
    title,
    questions.map((question) => ({ id: `${name}/${question}`, turns: [question] })),
  )

/** Answers as long as the question; plain decoding takes 10 ms a token. */
const plain = createScriptedGenerator()
/** Three tokens a cycle while there are three left, then one; a cycle takes 20 ms. */
const tree = createScriptedGenerator({
  cycleMs: 20,
  cycles: ({ length }) => {
    const left = length - 1
    return [...Array<number>(Math.floor(left / 3)).fill(3), ...Array<number>(left % 3).fill(1)]
  },
})

async function measure(others: Parameters<typeof runBenchmark>[0]['subjects'] = [{ name: 'tree', generator: tree }]) {
  const results = await runBenchmark({
    subjects: [{ name: 'plain', generator: plain }, ...others],
    // 7 and 3 tokens, of which the first is none of decoding: 6 and 2; then 4 tokens: 3.
    dataSets: [set('a', 'A', ['abcdefg', 'abc']), set('b', 'B', ['abcd'])],
    warmUp: false,
  })
  return summarize(results, { resamples: 200 })
}

const cell = (summary: Awaited<ReturnType<typeof measure>>, subject: string, dataSet: string) =>
  summary.cells.find((one) => one.subject === subject && one.dataSet === dataSet)!

describe('summarize', () => {
  it('has throughput, speedup and both kinds of τ', async () => {
    const summary = await measure()
    const a = cell(summary, 'tree', 'a')
    // 6 tokens in two cycles and 2 tokens in two: 8 tokens in four cycles of 20 ms, plainly in 80 ms.
    expect(a.throughput.value).toBeCloseTo(100, 9)
    expect(a.speedup.value).toBeCloseTo(1, 9)
    expect(a.tauPerQuestion!.value).toBeCloseTo((3 + 1) / 2, 9)
    expect(a.tauPerCycle!.value).toBeCloseTo(8 / 4, 9)
    const b = cell(summary, 'tree', 'b')
    expect([b.throughput.value, b.speedup.value, b.tauPerCycle!.value]).toEqual([150, 1.5, 3])
    expect(cell(summary, 'plain', 'a').speedup).toEqual({ value: 1, low: 1, high: 1 })
    expect(cell(summary, 'plain', 'a').tauPerQuestion!.value).toBe(1)
  })

  it('has intervals that resampling the questions gives', async () => {
    const { speedup } = cell(await measure(), 'tree', 'a')
    // The first question alone is 60 ms over 40, the second 20 over 40.
    expect(speedup.low).toBeCloseTo(0.5, 9)
    expect(speedup.high).toBeCloseTo(1.5, 9)
    expect(cell(await measure(), 'tree', 'b').speedup).toEqual({ value: 1.5, low: 1.5, high: 1.5 })
  })

  it('has means over data sets, whatever their sizes', async () => {
    const { means } = await measure()
    const mean = means.find(({ subject }) => subject === 'tree')!
    expect(mean.speedup.value).toBeCloseTo((1 + 1.5) / 2, 9)
    expect(mean.throughput.value).toBeCloseTo(125, 9)
    expect(mean.tauPerQuestion!.value).toBeCloseTo(2.5, 9)
  })

  it('has acceptance by depth, tokens by cycle, and where the time went', async () => {
    const { depths, tokensPerCycle, time } = cell(await measure(), 'tree', 'a')
    // Two of four cycles accepted two nodes; those of the second question drafted none.
    expect(depths).toEqual([
      { drafted: 0.5, accepted: 0.5, rate: 0.5 },
      { drafted: 0.5, accepted: 0.5, rate: 1 },
    ])
    expect(tokensPerCycle).toEqual([0.5, 0, 0.5])
    expect(time).toEqual({ draft: 0.25, verify: 0.5, other: 0.25 })
  })

  it('has latencies', async () => {
    const { firstTokenMs, prefill, msPerToken } = cell(await measure(), 'tree', 'a')
    expect(firstTokenMs).toEqual({ p50: 5, p95: 5 })
    expect(prefill!.ms).toEqual({ p50: 4, p95: 4 })
    expect(prefill!.promptTokensPerSecond).toBeCloseTo((7 + 3) / 0.008, 9)
    // 40/6 and 40/2 ms a token.
    expect(msPerToken.p50).toBeCloseTo((40 / 6 + 20) / 2, 9)
  })

  it('says where outputs first differ from the baseline’s', async () => {
    const other = createScriptedGenerator({
      tokens: ({ messages }) => {
        const { content } = messages![0]!
        return content === 'abc' ? [97, 98, 0] : Array.from(content, (character) => character.charCodeAt(0))
      },
    })
    const summary = await measure([{ name: 'other', generator: other }])
    const { identical, prompts, outputSha256 } = cell(summary, 'other', 'a')
    expect([identical, prompts]).toEqual([{ prompts: 1, first: { prompt: 'a/abc', turn: 0, position: 2 } }, 2])
    expect(outputSha256).not.toBe(cell(summary, 'plain', 'a').outputSha256)
    expect(cell(summary, 'other', 'b').outputSha256).toBe(cell(summary, 'plain', 'b').outputSha256)
    expect(findings(summary)).toEqual([
      "other, A, T=0: 1 of 2 outputs differ from plain's, the first at token 2 of turn 1 of a/abc.",
    ])
  })

  it('leaves what failed out of both sides of a comparison', async () => {
    const broken = createScriptedGenerator({
      tokens: ({ messages }) => {
        if (messages![0]!.content !== 'abc') throw new Error('too long')
        return [97, 98, 99]
      },
    })
    const summary = await measure([{ name: 'broken', generator: broken }])
    const a = cell(summary, 'broken', 'a')
    expect(a.prompts).toBe(1)
    expect(a.speedup.value).toBe(1)
    expect(a.failures).toEqual([{ prompt: 'a/abcdefg', message: 'too long' }])
    expect(cell(summary, 'broken', 'b').speedup.value).toBeNaN()
    expect(paperTable(summary).rows[1]!.slice(5, 8)).toEqual(['–', '–', '–'])
    expect(findings(summary)).toContain('broken, A, T=0: a/abcdefg failed: too long')
  })

  it('leaves out what a generator does not tell', async () => {
    const silent = createScriptedGenerator({ isSilent: true })
    const figures = cell(await measure([{ name: 'silent', generator: silent }]), 'silent', 'a')
    expect(figures.throughput.value).toBeGreaterThan(0)
    for (const key of ['tauPerQuestion', 'tauPerCycle', 'depths', 'time', 'prefill', 'firstTokenMs', 'loopingShare']) {
      expect(figures).not.toHaveProperty(key)
    }
  })

  it('counts outputs that loop', async () => {
    const looping = createScriptedGenerator({
      tokens: ({ messages }) => (messages![0]!.content === 'abc' ? Array(40).fill(1) : [1, 2, 3]),
    })
    expect(cell(await measure([{ name: 'looping', generator: looping }]), 'looping', 'a').loopingShare).toBe(0.5)
  })
})

describe('tables', () => {
  it('are laid out as the papers’', async () => {
    expect(textTable(paperTable(await measure()))).toBe(
      [
        '                     A                          B                          Mean',
        'Temperature  Method  Throughput  Speedup     τ  Throughput  Speedup     τ  Throughput  Speedup     τ',
        '────────────────────────────────────────────────────────────────────────────────────────────────────',
        'T=0          plain       100.00    1.00x  1.00      100.00    1.00x  1.00      100.00    1.00x  1.00',
        '             tree        100.00    1.00x  2.00      150.00    1.50x  3.00      125.00    1.25x  2.50',
      ].join('\n'),
    )
  })

  it('have all figures in detail', async () => {
    const { head, rows } = detailTable(await measure())
    expect(rows.every((row) => row.length === head.length)).toBe(true)
    expect(rows.find((row) => row[1] === 'A' && row[2] === 'tree')).toEqual([
      '0',
      'A',
      'tree',
      '1.00 [0.50, 1.50]',
      '2.00 [1.00, 3.00]',
      '2.00',
      expect.stringMatching(/^\d+\.\d\dx$/),
      '5 / 5',
      '13.3 / 19.3',
      '1250',
      '25 / 50 / 25',
      '0',
      '2/2',
    ])
  })

  it('make a page that says what was measured, and where', async () => {
    const page = markdownReport(await measure(), { title: 'Ours', command: 'hass bench --markdown' })
    expect(page).toMatch(
      /^# Ours\n\n {4}hass bench --markdown\n\nPrompts: A 2, B 1; at most 128 new tokens each, seed 0;/,
    )
    expect(page).toContain('| Temperature | Method | Throughput | Speedup | τ |')
    expect(page).toContain(`Node ${process.versions.node}`)
    expect(page).toMatch(/Every output of every method is plain's, token for token\.\n$/)
  })
})
