import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { InvalidArgumentError } from '@hass-engine/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDataSet } from './data-set.js'
import { readResults } from './results-file.js'
import { type BenchmarkOptions, type BenchmarkProgress, runBenchmark } from './run-benchmark.js'
import { createScriptedGenerator } from './testing/scripted-generator.js'

const questions = (name: string, count: number, turns = 1) =>
  createDataSet(
    name,
    name.toUpperCase(),
    Array.from({ length: count }, (_, i) => ({
      id: `${name}/${i}`,
      turns: Array.from({ length: turns }, (_, turn) => `${name}${i}${'abc'[turn]}`),
    })),
  )

/** Two subjects over one generator, that tells who asked. */
function createPair() {
  const order: string[] = []
  const generator = createScriptedGenerator({
    tokens: (options) => {
      order.push((options as { who?: string }).who!)
      return [1, 2, 3]
    },
  })
  const subject = (name: string) => ({ name, generator, options: () => ({ who: name }) })
  return { order, generator, subjects: [subject('plain'), subject('tree')] }
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-bench-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('runBenchmark', () => {
  it('runs all subjects on a prompt before the next one, and who is first in turns', async () => {
    const { order, subjects } = createPair()
    const { prompts } = await runBenchmark({ subjects, dataSets: [questions('a', 3)], warmUp: false })
    expect(order).toEqual(['plain', 'tree', 'tree', 'plain', 'plain', 'tree'])
    expect(prompts.map(({ runs }) => runs.map(({ subject }) => subject))).toEqual([
      ['plain', 'tree'],
      ['tree', 'plain'],
      ['plain', 'tree'],
    ])
  })

  it('warms each subject up, and counts nothing of it', async () => {
    const { order, subjects } = createPair()
    const { prompts } = await runBenchmark({ subjects, dataSets: [questions('a', 1)] })
    expect(order).toEqual(['plain', 'tree', 'plain', 'tree'])
    expect(prompts).toHaveLength(1)
  })

  it('asks every prompt of every data set at every temperature, each with a seed of its own', async () => {
    const { generator, subjects } = createPair()
    const { prompts } = await runBenchmark({
      subjects: subjects.slice(0, 1),
      dataSets: [questions('a', 3), questions('b', 1)],
      temperatures: [0, 1],
      limit: 2,
      seed: 10,
      maxTokens: 7,
      warmUp: false,
    })
    expect(prompts.map(({ temperature, prompt, seed }) => [temperature, prompt, seed])).toEqual([
      [0, 'a/0', 10],
      [0, 'a/1', 11],
      [0, 'b/0', 10],
      [1, 'a/0', 10],
      [1, 'a/1', 11],
      [1, 'b/0', 10],
    ])
    expect(generator.requests.map(({ temperature, seed, maxTokens }) => [temperature, seed, maxTokens])).toEqual(
      prompts.map(({ temperature, seed }) => [temperature, seed, 7]),
    )
  })

  it('puts a subject’s own answer between the turns, after the system message', async () => {
    const { generator, subjects } = createPair()
    const { prompts } = await runBenchmark({
      subjects,
      dataSets: [questions('a', 1, 2)],
      system: 'be brief',
      warmUp: false,
    })
    expect(generator.requests[1]!.messages).toEqual([
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'a0a' },
      { role: 'assistant', content: '1 2 3' },
      { role: 'user', content: 'a0b' },
    ])
    expect(prompts[0]!.runs.map(({ turns }) => turns.length)).toEqual([2, 2])
  })

  it('gives a subject one set of options for each data set and temperature', async () => {
    const places: unknown[] = []
    const { generator } = createPair()
    const options = (place: unknown) => {
      places.push(place)
      return {}
    }
    const subjects = [{ name: 'x', generator, options }]
    await runBenchmark({
      subjects,
      dataSets: [questions('a', 2), questions('b', 2)],
      temperatures: [0, 1],
      warmUp: false,
    })
    expect(places).toEqual([
      { dataSet: 'a', temperature: 0 },
      { dataSet: 'b', temperature: 0 },
      { dataSet: 'a', temperature: 1 },
      { dataSet: 'b', temperature: 1 },
    ])
  })

  it('leaves a subject out at temperatures that are not its own', async () => {
    const { subjects } = createPair()
    const { prompts } = await runBenchmark({
      subjects: [subjects[0]!, { ...subjects[1]!, temperatures: [0] }],
      dataSets: [questions('a', 1)],
      temperatures: [0, 1],
      warmUp: false,
    })
    expect(prompts.map(({ runs }) => runs.length)).toEqual([2, 1])
  })

  it('records what a subject throws, and goes on', async () => {
    const { generator } = createPair()
    const broken = createScriptedGenerator({
      tokens: ({ messages }) => {
        if (messages!.at(-1)!.content === 'a1b') throw new InvalidArgumentError('The prompt is too odd.')
        return [1]
      },
    })
    const { prompts } = await runBenchmark({
      subjects: [
        { name: 'plain', generator },
        { name: 'broken', generator: broken },
      ],
      dataSets: [questions('a', 3, 2)],
      warmUp: false,
    })
    const runs = prompts.map(({ runs }) => runs.find(({ subject }) => subject === 'broken')!)
    expect(runs.map(({ failure }) => failure)).toEqual([
      undefined,
      { turn: 1, code: 'HASS_ERR_INVALID_ARGUMENT', message: 'The prompt is too odd.' },
      undefined,
    ])
    expect(runs.map(({ turns }) => turns.length)).toEqual([2, 1, 2])
  })

  it('measures generators that tell nothing of themselves, as streams where asked', async () => {
    const silent = createScriptedGenerator({ tokens: () => [1, 2, 3, 4], isSilent: true })
    const { prompts } = await runBenchmark({
      subjects: [
        { name: 'at once', generator: silent },
        { name: 'streamed', generator: silent, isStreamed: true },
      ],
      dataSets: [questions('a', 1)],
      warmUp: false,
    })
    const [atOnce, streamed] = prompts[0]!.runs.map(({ turns }) => turns[0]!)
    expect(atOnce).toMatchObject({ output: '1 2 3 4', decodedTokens: 3, completionTokens: 4 })
    expect(atOnce!.timings.firstTokenMs).toBeUndefined()
    expect(atOnce!.speculation).toBeUndefined()
    expect(streamed!.timings.firstTokenMs).toBeGreaterThanOrEqual(0)
    expect(streamed!.timings.decodeMs).toBeLessThanOrEqual(streamed!.timings.totalMs)
  })

  it('tells how far it is, and for how long yet', async () => {
    const { subjects } = createPair()
    const seen: BenchmarkProgress[] = []
    await runBenchmark({ subjects, dataSets: [questions('a', 3)], onProgress: (progress) => seen.push(progress) })
    expect(seen.map(({ done, total }) => [done, total])).toEqual([
      [0, 3],
      [1, 3],
      [2, 3],
      [3, 3],
    ])
    expect(seen[0]!.remainingMs).toBeUndefined()
    expect(seen[2]!.remainingMs).toBeGreaterThan(0)
    expect(seen[3]!.remainingMs).toBe(0)
  })

  it('records the machine', async () => {
    const { subjects } = createPair()
    const facts = { threads: 2 }
    const { environments } = await runBenchmark({ subjects, dataSets: [questions('a', 1)], facts })
    expect(environments).toMatchObject([{ node: process.versions.node, threads: 2 }])
    expect(environments[0]!.loadAverage).toHaveLength(3)
  })

  it.each<[Partial<BenchmarkOptions>, RegExp]>([
    [{ subjects: [] }, /at least one subject/],
    [{ dataSets: [] }, /at least one data set/],
    [{ temperatures: [] }, /at least one temperature/],
    [{ temperatures: [1, 1] }, /temperature 1 is given twice/],
    [{ temperatures: [-1] }, /temperatures/],
    [{ subjects: [createPair().subjects[0]!, createPair().subjects[0]!] }, /subject plain is given twice/],
    [{ baseline: 'none' }, /baseline none is no subject/],
    [{ limit: 0 }, /limit/],
    [{ limit: 1.5 }, /limit/],
    [{ maxTokens: 0 }, /maxTokens/],
    [{ seed: -1 }, /seed/],
    [{ maxtokens: 1 } as object, /no option "maxtokens"/],
  ])('refuses %j', async (options, message) => {
    const { subjects } = createPair()
    const error: Error = await runBenchmark({ subjects, dataSets: [questions('a', 1)], ...options }).then(
      () => new Error('it ran'),
      (reason) => reason,
    )
    expect(error).toMatchObject({ code: 'HASS_ERR_INVALID_ARGUMENT' })
    expect(error.message).toMatch(message)
  })

  it('stops at an abort', async () => {
    const { subjects, order } = createPair()
    const controller = new AbortController()
    const reason = new Error('enough')
    const work = runBenchmark({
      subjects,
      dataSets: [questions('a', 9)],
      warmUp: false,
      signal: controller.signal,
      onProgress: ({ done }) => done === 2 && controller.abort(reason),
    })
    await expect(work).rejects.toBe(reason)
    expect(order).toHaveLength(4)
  })
})

describe('results in a file', () => {
  const path = () => join(folder, `${Math.random().toString(36).slice(2)}.jsonl`)
  const dataSets = [questions('a', 4)]

  it('hold everything that a benchmark returns', async () => {
    const results = path()
    const { subjects } = createPair()
    expect(await readResults(results).catch((error) => error)).toMatchObject({ code: 'HASS_ERR_RESULTS_FILE' })
    const returned = await runBenchmark({ subjects, dataSets, results })
    expect(await readResults(results)).toEqual(JSON.parse(JSON.stringify(returned)))
  })

  it('are gone on with: what is there is not asked again', async () => {
    const results = path()
    const first = createPair()
    const controller = new AbortController()
    const stopped = runBenchmark({
      subjects: first.subjects,
      dataSets,
      results,
      signal: controller.signal,
      onProgress: ({ done }) => done === 3 && controller.abort(),
    })
    await expect(stopped).rejects.toMatchObject({ name: 'AbortError' })
    const second = createPair()
    const { prompts, environments } = await runBenchmark({
      subjects: second.subjects,
      dataSets,
      results,
      warmUp: false,
    })
    expect(second.order).toEqual(['tree', 'plain'])
    expect(prompts.map(({ prompt }) => prompt)).toEqual(['a/0', 'a/1', 'a/2', 'a/3'])
    expect(environments).toHaveLength(2)
    const third = createPair()
    await runBenchmark({ subjects: third.subjects, dataSets, results })
    expect(third.order).toEqual([])
  })

  it('survive a death at any byte of a line: its prompt is asked again', async () => {
    const results = path()
    await runBenchmark({ subjects: createPair().subjects, dataSets, results, warmUp: false })
    const whole = await readFile(results)
    const last = whole.lastIndexOf('\n', whole.length - 2) + 1
    for (const length of [last + 1, (last + whole.length) >> 1, whole.length - 1]) {
      await writeFile(results, whole)
      await truncate(results, length)
      expect((await readResults(results)).prompts).toHaveLength(3)
      const { order, subjects } = createPair()
      const { prompts } = await runBenchmark({ subjects, dataSets, results, warmUp: false })
      expect(order).toEqual(['tree', 'plain'])
      expect(prompts).toHaveLength(4)
      expect((await readResults(results)).prompts).toHaveLength(4)
    }
  })

  it('begin anew where not even the first line was written', async () => {
    const results = path()
    await writeFile(results, '{"type":"sett')
    const { prompts } = await runBenchmark({ subjects: createPair().subjects, dataSets, results })
    expect(prompts).toHaveLength(4)
    expect((await readResults(results)).prompts).toHaveLength(4)
  })

  it.each<[Partial<BenchmarkOptions>, string]>([
    [{ maxTokens: 5 }, 'maxTokens: 128, now 5'],
    [{ temperatures: [1] }, 'temperatures.0: 0, now 1'],
    [{ limit: 2 }, 'dataSets.0.prompts: 4, now 2'],
    [{ seed: 3 }, 'seed: 0, now 3'],
    [{ system: 'be brief' }, 'system: none, now "be brief"'],
    [{ subjects: createPair().subjects.slice(0, 1) }, 'subjects.1: {"name":"tree","settings":{}}, now none'],
    [
      { subjects: createPair().subjects.map((subject) => ({ ...subject, settings: { head: subject.name } })) },
      'subjects.0.settings.head: none, now "plain"; subjects.1.settings.head: none, now "tree"',
    ],
  ])('of other settings are refused: %j', async (options, difference) => {
    const results = path()
    await runBenchmark({ subjects: createPair().subjects, dataSets, results })
    const before = await readFile(results)
    const other = runBenchmark({ subjects: createPair().subjects, dataSets, results, ...options })
    const error = await other.catch((reason) => reason)
    expect(error).toMatchObject({ code: 'HASS_ERR_RESULTS_MISMATCH' })
    expect(error.details.differences.join('; ')).toBe(difference)
    expect(await readFile(results)).toEqual(before)
  })

  it('of other questions under the same name are refused', async () => {
    const results = path()
    const { subjects } = createPair()
    await runBenchmark({ subjects, dataSets, results })
    const others = [createDataSet('a', 'A', [...dataSets[0]!.prompts].reverse())]
    await expect(runBenchmark({ subjects, dataSets: others, results })).rejects.toThrow('dataSets.0.sha256')
  })

  it.each(['hello\n', '{}\n', '{"type":"settings","settings":{"version":2}}\n', '{"type":"settings"}\nx\n'])(
    'are not written over a file that holds %j',
    async (text) => {
      const results = path()
      await writeFile(results, text)
      const work = runBenchmark({ subjects: createPair().subjects, dataSets, results })
      await expect(work).rejects.toMatchObject({ code: 'HASS_ERR_RESULTS_FILE' })
      expect(await readFile(results, 'utf8')).toBe(text)
    },
  )
})
