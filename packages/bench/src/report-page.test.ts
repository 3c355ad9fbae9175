import { describe, expect, it } from 'vitest'
import { createDataSet } from './data-set.js'
import { reportPage } from './report-page.js'
import { runBenchmark } from './run-benchmark.js'
import { summarize } from './summarize.js'
import { createScriptedGenerator } from './testing/scripted-generator.js'

async function measure(tokens: readonly number[] = [1, 2, 3, 4, 5]) {
  const results = await runBenchmark({
    subjects: [
      { name: 'plain', generator: createScriptedGenerator({ tokens: () => [1, 2, 3, 4, 5] }) },
      { name: '<tree>', generator: createScriptedGenerator({ tokens: () => tokens, cycles: () => [3, 1] }) },
    ],
    dataSets: [createDataSet('a', 'A & B', [{ id: 'a', turns: ['x'] }])],
    temperatures: [0, 1],
  })
  return summarize(results, { resamples: 20 })
}

describe('reportPage', () => {
  it('holds tables and charts of every temperature, and loads nothing', async () => {
    const page = reportPage(await measure(), {
      title: 'Ours',
      costs: { verify: { rows: [1, 4], ms: [8, 10] }, draft: { rows: [1, 4], ms: [1, 2] } },
    })
    expect(page).toContain('<title>Ours</title>')
    for (const heading of ['At temperature 0', 'At temperature 1', 'What passes cost', 'Tokens per cycle']) {
      expect(page).toContain(heading)
    }
    expect(page.match(/<svg/g)!.length).toBe(2 * 6 + 3)
    expect(page).not.toMatch(/<script|<link|<img|src=|url\(/)
    expect(page).toContain('A &amp; B')
    expect(page).not.toContain('<tree>')
    expect(page).toMatch(/None: every output is that of plain/)
  })

  it('says what differs', async () => {
    expect(reportPage(await measure([1, 2, 9, 4, 5]))).toMatch(/1 of 1 outputs differ.*token 2 of turn 1/)
  })

  it('refuses options that it does not know', async () => {
    const summary = await measure()
    expect(() => reportPage(summary, { titel: 'x' } as object)).toThrow('titel')
  })
})
