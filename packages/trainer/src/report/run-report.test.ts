import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { runPlaces } from '../run/run-places.js'
import { trainHead } from '../run/train-head.js'
import { tinyRun } from '../testing/tiny-run.js'
import { renderRunReport, writeRunReport } from './run-report.js'

it('shows a run with its phases, losses by alignment step, acceptance, settings and data', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hass-report-'))
  try {
    const evaluate = async ({ step }: { readonly step: number }) => ({
      acceptanceLength: 1.5 + step / 100,
      other: step,
    })
    const options = { evaluate, facts: { responseTokens: 4321, prompt: '<script>' }, settings: { seed: 17 } }
    for await (const event of trainHead(tinyRun(folder, options))) {
      // A run in the middle has a page as well.
      if (event.type === 'step-end' && event.step === 8) break
    }
    await writeRunReport(folder)
    const { report } = runPlaces(folder)
    expect(await readFile(report, 'utf8')).toContain('8 of 30')
    for await (const _ of trainHead(tinyRun(folder, { ...options, resume: true })));
    await writeRunReport(folder)
    const page = await readFile(report, 'utf8')
    expect(page).toContain('30 of 30')
    // The best head, its τ, and each evaluation in the table.
    for (const text of ['1.800', 'best head, of step 30', '1.500', '1.700']) expect(page).toContain(text)
    for (const text of ['align', 'refine', 'alignment step 3', '4321', '&lt;script&gt;', 'seed'])
      expect(page).toContain(text)
    expect(page).not.toContain('<script')
    expect(page.match(/<svg/g)!.length).toBe(10)
    expect(page).not.toMatch(/NaN|undefined|Infinity/)
    // Nothing is loaded from anywhere.
    expect(page.match(/(src|href)=/g)).toBeNull()
  } finally {
    await rm(folder, { recursive: true })
  }
})

it('shows why a run stopped, and that one has not begun', () => {
  const time = '2026-01-02T03:04:05Z'
  const failure = { time, type: 'failure', error: { code: 'HASS_ERR_NON_FINITE', message: 'In step 6: broken.' } }
  expect(renderRunReport([failure])).toContain('stopped: In step 6: broken.')
  expect(renderRunReport([])).toContain('0 of ?')
})
