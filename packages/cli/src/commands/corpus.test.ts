import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCorpus } from '@hass-engine/trainer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { goldenPath } from '../../../../test/support/golden.js'
import { createModelFolder, goldenHeads, targetOf } from '../../../engine/src/testing/tiny-models.js'
import { runCli } from '../run-cli.js'
import { createMemoryTerminal, type MemoryTerminalOptions } from '../testing/memory-terminal.js'
import { spawnHass } from '../testing/run-hass.js'

const head = goldenHeads[0]!
/** Interruptions of the test that kills. */
const kills = process.env.HASS_LONG_TESTS === '1' ? 50 : 3

let folder: string
let model: Awaited<ReturnType<typeof createModelFolder>>
let prompts: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-cli-corpus-'))
  model = await createModelFolder(targetOf(head))
  prompts = join(folder, 'prompts')
  await mkdir(prompts)
  for (const domain of ['talk', 'code']) {
    const lines = Array.from({ length: 15 }, (_, i) => JSON.stringify({ id: `${domain}/${i}`, turns: [`say ${i}`] }))
    await writeFile(join(prompts, `prompts-${domain}.jsonl`), `${lines.join('\n')}\n`)
  }
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await model.dispose()
})

async function run(args: readonly string[], options: MemoryTerminalOptions = { input: '' }) {
  const terminal = createMemoryTerminal(options)
  const status = await runCli(args, terminal)
  return { status, ...terminal.written }
}

const at = (name: string) => join(folder, name)
const flags = (output: string) => [
  'corpus',
  ...['--output', output, '--model', model.path, '--threads', '1', '-n', '10', '--max-prompt-tokens', '60'],
  ...['--shard-size', '8', '--batch', '4'],
]

async function filesOf(path: string): Promise<Map<string, Buffer>> {
  const names = (await readdir(path)).filter((name) => /json$|safetensors$/.test(name)).sort()
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(path, name))] as const)))
}

describe('hass corpus', () => {
  it('answers prompts and says what it has made', async () => {
    const { status, output } = await run([...flags(at('made')), '--prompts', prompts])
    expect(status).toBe(0)
    expect(output).toMatch(/made: 30 texts, \d+ response tokens in 4 shards; 0 prompts were left out\.\n$/)
    const { sequences } = await openCorpus(at('made'))
    expect(sequences.slice(0, 4).map(({ id }) => id)).toEqual(['code/0', 'talk/0', 'code/1', 'talk/1'])
  })

  it('prints events, and takes prompts from the environment', async () => {
    const environment = { HASS_PROMPTS_DIR: prompts }
    const { output } = await run([...flags(at('json')), '--limit', '3', '--json'], { input: '', environment })
    const events = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string })
    expect(events[0]).toEqual({ type: 'corpus-start', prompts: 3, donePrompts: 0 })
    expect(events.filter(({ type }) => type === 'sequence-end')).toHaveLength(3)
    expect(events.at(-1)!.type).toBe('corpus-end')
  })

  it('shows a person how long it will take', async () => {
    const options = { input: '', isTTY: true }
    const { errors } = await run([...flags(at('bar')), '--prompts', prompts, '--limit', '12'], options)
    expect(errors).toMatch(/12 prompts · .* left · \d+ tokens\/s/)
  })

  it.each([
    [[], 2, /There is nothing to answer/],
    [['--prompts', '/nowhere'], 1, /^HASS_ERR_PROMPTS: nowhere cannot be read: ENOENT/],
    [['--prompts', 'PROMPTS', '--temperatures', '0'], 2, /TEMPERATURE:SHARE/],
    [['--prompts', 'PROMPTS', '--temperatures', '0:0.4'], 1, /add up to 0.4/],
    [['--prompts', 'PROMPTS', '--features', 'F8'], 2, /Allowed choices are BF16, F16, recompute/],
    [['--prompts', 'PROMPTS', '--recipe', 'other'], 2, /Allowed choices are embedded/],
    [['--prompts', 'PROMPTS', '--recipe', 'embedded'], 1, /has no prompts-dialogue\.jsonl/],
    [['--prompts', 'BROKEN'], 1, /^HASS_ERR_PROMPTS: broken\.jsonl, line 2 is no prompt/],
  ])('refuses %j', async (args, expected, message) => {
    await writeFile(at('broken.jsonl'), '{"id": "a", "turns": ["b"]}\n{"id": "c"}\n')
    const paths: Record<string, string> = { PROMPTS: prompts, BROKEN: at('broken.jsonl') }
    const { status, output, errors } = await run([...flags(at('refused')), ...args.map((arg) => paths[arg] ?? arg)])
    expect([status, output]).toEqual([expected, ''])
    expect(errors).toMatch(message)
  })

  it('refuses to go on with other settings', async () => {
    await run([...flags(at('settings')), '--prompts', prompts, '--limit', '2'])
    const { status, errors } = await run([
      ...flags(at('settings')),
      '--prompts',
      prompts,
      '--limit',
      '2',
      '--salt',
      'x',
    ])
    expect(status).toBe(1)
    expect(errors).toMatch(/^HASS_ERR_CORPUS_MISMATCH: .*salt is "", asked for "x"/)
  })

  it('has the same bytes after kills at any instant', async () => {
    await run([...flags(at('whole')), '--prompts', prompts])
    const args = [...flags(at('killed')), '--prompts', prompts, '--json']
    let killed = 0
    for (let i = 0; i < kills; i++) {
      const child = spawnHass(args)
      const lines = 1 + Math.floor(((i * 0.618034) % 1) * 20)
      let seen = 0
      child.stdout.on('data', (chunk) => {
        seen += String(chunk).split('\n').length - 1
        // Somewhere within the time that a few prompts take.
        if (seen >= lines) setTimeout(() => child.kill('SIGKILL'), (i * 7) % 23)
      })
      const [, signal] = await new Promise<[number | null, string | null]>((resolve) =>
        child.on('exit', (code, by) => resolve([code, by])),
      )
      if (signal === 'SIGKILL') killed++
    }
    expect(killed).toBeGreaterThan(0)
    const { status, errors } = await run(args)
    expect([status, errors]).toEqual([0, ''])
    expect(await filesOf(at('killed'))).toEqual(await filesOf(at('whole')))
  }, 600_000)
})

describe('hass eval', () => {
  const draft = goldenPath('heads', head)

  it('measures a head on recorded responses and by generating them, with the same outcome', async () => {
    await run([...flags(at('eval')), '--prompts', prompts, '--temperatures', '0:0.5,1:0.5', '--max-turns', '1'])
    const shared = ['--model', model.path, '--draft', draft, '--threads', '1', '--trees', 'chain:3,tree:8', '--json']
    const replayed = await run(['eval', '--corpus', at('eval'), '--held-out-share', '1', ...shared])
    expect([replayed.status, replayed.errors]).toEqual([0, ''])
    const { rows } = JSON.parse(replayed.output) as { rows: Row[] }
    expect(rows.map(({ name, temperature, isCoupled }) => [name, temperature, isCoupled])).toEqual([
      ['chain:3', 0, false],
      ['tree:8', 0, false],
      ['chain:3', 1, false],
      ['chain:3', 1, true],
      ['tree:8', 1, false],
      ['tree:8', 1, true],
    ])
    for (const {
      acceptanceLength: { value, low, high },
      counts,
    } of rows) {
      expect(value).toBeCloseTo(counts.emitted / counts.cycles, 9)
      expect(low).toBeLessThanOrEqual(value)
      expect(high).toBeGreaterThanOrEqual(value)
    }
    // The same texts, generated: those of the corpus at each temperature, in their own file.
    const { sequences } = await openCorpus(at('eval'))
    for (const temperature of [0, 1]) {
      const chosen = sequences.filter((sequence) => sequence.temperature === temperature)
      const lines = chosen.map(({ id }) => JSON.stringify({ id, turns: [`say ${id.split('/')[1]}`] }))
      await writeFile(at('same.jsonl'), lines.join('\n'))
      const args = ['--prompts', at('same.jsonl'), '--temperatures', String(temperature), '-n', '10']
      const generated = await run(['eval', ...args, ...shared], { input: '', environment: {} })
      const measured = (JSON.parse(generated.output) as { rows: Row[] }).rows
      const expected = rows.filter((row) => row.temperature === temperature)
      for (const [i, { counts, prompts: count }] of measured.entries()) {
        expect(count).toBe(expected[i]!.prompts)
        expect(counts.emitted).toBe(expected[i]!.counts.emitted)
        // Recorded features are rounded: a tree may differ here and there.
        expect(Math.abs(counts.cycles - expected[i]!.counts.cycles)).toBeLessThanOrEqual(0.05 * counts.cycles + 1)
      }
    }
  })

  it('prints a table', async () => {
    const args = ['--model', model.path, '--draft', draft, '--trees', 'chain:2', '--temperatures', '0', '-n', '6']
    const path = join(prompts, 'prompts-talk.jsonl')
    const { status, output } = await run(['eval', '--prompts', path, '--limit', '2', ...args])
    expect(status).toBe(0)
    expect(output).toMatch(/^T +trees +candidates +prompts +τ \(95 %\) +τ by prompt +accepted at depth .* tokens\/s\n/)
    expect(output).toMatch(/\n0 +chain:2 +plain +2 +\d\.\d\d \(\d\.\d\d–\d\.\d\d\) +\d\.\d\d +0?\.\d\d/)
  })

  it.each([
    [[], 2, /either --prompts, to generate, or --corpus/],
    [['--prompts', 'x', '--corpus', 'y'], 2, /either/],
    [['--corpus', 'x'], 2, /no head to measure/],
    [['--corpus', '/nowhere', '--draft', 'HEAD'], 1, /^HASS_ERR_CORPUS_MISSING/],
    [['--prompts', '/nowhere', '--draft', 'HEAD'], 1, /^HASS_ERR_PROMPTS/],
    [['--prompts', 'x', '--trees', 'bush:3'], 2, /There are no trees "bush:3"/],
    [['--prompts', 'x', '--trees', 'tree:0'], 2, /There are no trees "tree:0"/],
  ])('refuses %j', async (args, expected, message) => {
    const { status, errors } = await run([
      'eval',
      ...['--model', model.path],
      ...args.map((arg) => (arg === 'HEAD' ? draft : arg)),
    ])
    expect(status).toBe(expected)
    expect(errors).toMatch(message)
  })
})

interface Row {
  readonly name: string
  readonly temperature: number
  readonly isCoupled: boolean
  readonly prompts: number
  readonly acceptanceLength: { readonly value: number; readonly low: number; readonly high: number }
  readonly counts: { readonly emitted: number; readonly cycles: number }
}
