import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { BenchmarkSummary } from '@hass-engine/bench'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { goldenPath } from '../../../../test/support/golden.js'
import { createModelFolder, goldenHeads, targetOf } from '../../../engine/src/testing/tiny-models.js'
import { runCli } from '../run-cli.js'
import { createMemoryTerminal, type MemoryTerminalOptions } from '../testing/memory-terminal.js'
import { spawnHass } from '../testing/run-hass.js'
import { timeLeft } from './progress-bar.js'

const head = goldenHeads[0]!
let folder: string
let model: Awaited<ReturnType<typeof createModelFolder>>
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-cli-bench-'))
  model = await createModelFolder(targetOf(head))
  vi.stubEnv('XDG_CACHE_HOME', folder)
  const questions = (name: string) =>
    ['abab', 'a question', 'xyz', 'ab'].map((turn, i) => ({ id: `${name}/${i}`, turns: [turn, turn] }))
  for (const name of ['mt-bench', 'letters']) {
    await writeFile(
      join(folder, `${name}.jsonl`),
      questions(name)
        .map((one) => `${JSON.stringify(one)}\n`)
        .join(''),
    )
  }
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await model.dispose()
  await rm(folder, { recursive: true, force: true })
})

async function run(args: readonly string[], options: MemoryTerminalOptions = {}) {
  const terminal = createMemoryTerminal({ input: '', environment: { HASS_DATASETS_DIR: folder }, ...options })
  const status = await runCli(['bench', ...args], terminal)
  return { status, ...terminal.written }
}

const flags = () => ['--model', model.path, '--threads', '1', '-n', '12', '--sets', 'mt-bench,letters']
const withHead = () => [...flags(), '--draft', goldenPath('heads', head)]

/** What is no sentence. */
const tableLines = (output: string) => output.split('\n').filter((line) => !line.endsWith('.'))

describe('hass bench', () => {
  it('lets all methods that there are heads for answer, and finds their texts the same', async () => {
    const eagle = ['--eagle-draft', goldenPath('heads', head)]
    const { status, output, errors } = await run([...withHead(), ...eagle, '--json'])
    expect([status, errors]).toEqual([0, expect.stringMatching(/T=0 mt-bench: 0 of 16 prompts are done/)])
    const summary = JSON.parse(output) as BenchmarkSummary
    const names = ['plain', 'n-gram', 'chain', 'EAGLE-2', 'HASS', 'HASS, cost-aware', 'HASS + n-gram']
    expect(summary.settings.subjects.map(({ name }) => name)).toEqual(names)
    expect(summary.cells).toHaveLength(2 * 2 * names.length)
    for (const { prompts, identical, failures, outputSha256, dataSet, temperature } of summary.cells) {
      expect([prompts, identical, failures]).toEqual([4, { prompts: 4 }, []])
      const plain = summary.cells.find((cell) => cell.dataSet === dataSet && cell.temperature === temperature)
      expect(outputSha256).toBe(plain!.outputSha256)
    }
    const drafting = summary.cells.filter(({ subject }) => subject === 'HASS')
    expect(drafting.every(({ tauPerCycle, depths }) => tauPerCycle!.value > 1 && depths!.length > 1)).toBe(true)
    expect(summary.environments[0]).toMatchObject({ threads: 1, costs: { verify: { rows: expect.any(Array) } } })
  })

  it('needs no head for plain decoding and n-grams', async () => {
    const { status, output } = await run([...flags(), '--temperatures', '0', '--limit', '1'])
    expect(status).toBe(0)
    expect(output).toMatch(/^Temperature +Method +Throughput +Speedup +τ/m)
    expect(output).toMatch(/^T=0 +plain +[\d.]+ +1\.00x +1\.00/m)
    expect(output).toMatch(/^ +n-gram +[\d.]+ +[\d.]+x +[\d.]+/m)
    expect(output).toMatch(/^ +MT-bench$/m)
    expect(output).toMatch(/^ +letters +Mean$/m)
    expect(Math.max(...tableLines(output).map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it('keeps results, goes on with them, shows them again, and refuses others', async () => {
    const results = join(folder, 'kept.jsonl')
    const args = [...flags(), '--temperatures', '0', '--results', results]
    expect((await run(args)).status).toBe(0)
    const kept = await readFile(results, 'utf8')
    expect((await run(args)).status).toBe(0)
    expect(await readFile(results, 'utf8')).toBe(kept)
    const report = join(folder, 'report.html')
    const shown = await run(['show', results, '--markdown', '--title', 'Ours', '--report', report])
    expect(shown.output).toMatch(/^# Ours\n\n {4}hass bench show .*kept\.jsonl --markdown\n/)
    expect(await readFile(report, 'utf8')).toMatch(/<title>Ours<\/title>[\s\S]*T\(n\) over T\(1\)/)
    const other = await run([...args, '--limit', '1'])
    expect(other.status).toBe(1)
    expect(other.errors).toMatch(/^HASS_ERR_RESULTS_MISMATCH: .*dataSets\.0\.prompts: 4, now 1.*\n$/)
  })

  it('ends with status 1 where a text differs', async () => {
    const results = join(folder, 'differing.jsonl')
    await run([...flags(), '--temperatures', '0', '--results', results])
    const lines = (await readFile(results, 'utf8')).trimEnd().split('\n')
    const last = JSON.parse(lines.pop()!)
    last.record.runs.find(({ subject }: { subject: string }) => subject === 'n-gram').turns[1].output[3] = 999
    await writeFile(results, `${[...lines, JSON.stringify(last)].join('\n')}\n`)
    const { status, output } = await run(['show', results])
    expect(status).toBe(1)
    expect(output).toMatch(/n-gram, letters, T=0: 1 of 4 outputs differ from plain's, the first at token 3 of turn 2/)
  })

  it.each([
    [['--methods', 'plain,hasss'], /no method "hasss"/],
    [['--methods', 'hass', '--draft', 'none'], /hass needs a draft head.*--draft/],
    [['--methods', 'eagle-2', '--draft', 'none'], /eagle-2 needs a draft head.*--eagle-draft/],
    [['--json', '--markdown'], /two formats/],
    [['--temperatures', '0,,1'], /commas/],
    [['--temperatures', 'hot'], /number/],
  ])('%j is wrong usage', async (args, message) => {
    const { status, output, errors } = await run([...flags(), ...args])
    expect([status, output]).toEqual([2, ''])
    expect(errors).toMatch(message)
  })

  it.each([
    [['--sets', 'gsm8k'], /HASS_ERR_DATA_SET: .*has no gsm8k\.jsonl/],
    [['--sets', 'letters,letters'], /HASS_ERR_INVALID_ARGUMENT: .*letters is given twice/],
    [['--limit', '0'], /HASS_ERR_INVALID_ARGUMENT: limit/],
    [['show', '/nowhere'], /HASS_ERR_RESULTS_FILE/],
    [['fetch', 'gsm8k'], /HASS_ERR_DATA_SET: .*none to be fetched/],
  ])('%j fails', async (args, message) => {
    const { status, errors } = await run(args[0]!.startsWith('-') ? [...flags(), ...args] : args)
    expect(status).toBe(1)
    expect(errors).toMatch(message)
  })

  /** Lets the command run until it has kept two prompts, then sends a signal. */
  async function stop(args: readonly string[], results: string, signal: 'SIGINT' | 'SIGKILL') {
    const child = spawnHass(args, environment())
    const errors = text(child.stderr)
    child.stdout.resume()
    const kept = async () => (await readFile(results, 'utf8').catch(() => '')).split('"type":"prompt"').length - 1
    const closed = once(child, 'close') as Promise<[number | null]>
    while (child.exitCode === null && (await kept()) < 2) await new Promise((resolve) => setTimeout(resolve, 20))
    child.kill(signal)
    const [code] = await closed
    return { code, errors: await errors }
  }

  const environment = () => ({ HASS_DATASETS_DIR: folder, XDG_CACHE_HOME: folder })

  it.skipIf(process.platform === 'win32')(
    'ends at Ctrl-C, and says how to go on',
    async () => {
      const results = join(folder, 'interrupted.jsonl')
      const args = ['bench', ...flags(), '--draft', 'ngram', '--results', results, '-n', '60']
      const { code, errors } = await stop(args, results, 'SIGINT')
      expect(code).toBe(130)
      expect(errors).toMatch(/Interrupted\. The same command goes on with .*interrupted\.jsonl\.\n$/)
    },
    180_000,
  )

  it.skipIf(process.platform === 'win32')(
    'survives kill -9: what was measured stays, the rest is measured',
    async () => {
      const results = join(folder, 'killed.jsonl')
      const args = ['bench', ...flags(), '--draft', 'ngram', '--results', results, '--json']
      expect((await stop(args, results, 'SIGKILL')).code).toBeNull()
      const before = await readFile(results, 'utf8')
      const resumed = spawnHass(args, environment())
      const [output, [code]] = await Promise.all([text(resumed.stdout), once(resumed, 'close')])
      expect(code).toBe(0)
      const summary = JSON.parse(output) as BenchmarkSummary
      expect(summary.cells.every(({ prompts: all, identical }) => all === 4 && identical.prompts === 4)).toBe(true)
      const after = await readFile(results, 'utf8')
      expect(after.startsWith(before.slice(0, before.lastIndexOf('\n') + 1))).toBe(true)
      expect(after.split('"type":"prompt"').length - 1).toBe(2 * 2 * 4)
    },
    180_000,
  )
})

describe('the time left', () => {
  it.each([
    [undefined, 'time left unknown'],
    [400, '1 s left'],
    [59_000, '59 s left'],
    [200_000, '3 min left'],
    [3_900_000, '1 h 5 min left'],
  ])('of %d ms is %s', (ms, expected) => {
    expect(timeLeft(ms)).toBe(expected)
  })
})
