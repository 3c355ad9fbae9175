import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { BenchmarkSummary } from '@hass-engine/bench'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { goldenPath, listGolden } from '../../../test/support/golden.js'
import { runCli } from './run-cli.js'
import { createMemoryTerminal, type MemoryTerminalOptions } from './testing/memory-terminal.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-clusters-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
afterEach(() => vi.unstubAllEnvs())

async function run(args: readonly string[], options: MemoryTerminalOptions = { input: '' }) {
  const terminal = createMemoryTerminal(options)
  const status = await runCli(args, terminal)
  return { status, ...terminal.written }
}

const head = goldenPath('heads', listGolden('heads', /^[^.]+$/)[0]!)

describe('hass convert', () => {
  it('writes a head, and hass launch finds its token map', async () => {
    const out = join(folder, 'head')
    const ids = join(folder, 'ids.json')
    await writeFile(ids, '[3, 1, 2]')
    const { status, output } = await run(['convert', head, '--to', 'sglang', '--out', out, '--token-map', ids])
    expect(status).toBe(0)
    expect(output.trimEnd().split('\n').sort()).toEqual((await readdir(out)).map((file) => join(out, file)).sort())
    const launched = await run(['launch', 'sglang', '--target', 'T', '--draft', out])
    expect(launched.output).toContain(`--speculative-token-map ${join(out, 'token_map.pt')}`)
    expect(launched.output).toContain('--speculative-num-steps 6')
    const again = await run(['convert', head, '--to', 'sglang', '--out', out, '--token-map', join(out, 'token_map.pt')])
    expect(again.status).toBe(0)
  })

  it.each([
    [['convert', head], 2, /--to/],
    [['convert', head, '--to', 'sglang'], 2, /--out/],
    [['convert', head, '--to', 'onnx', '--out', 'x'], 2, /Allowed choices/],
    [['convert', '/nowhere', '--to', 'eagle', '--out', 'x'], 1, /HASS_ERR_MODEL_FILES/],
    [['convert', head, '--to', 'sglang', '--out', 'x', '--token-map', '/nowhere.json'], 1, /HASS_ERR_FILE/],
  ])('%j fails with status %d', async (args, expected, message) => {
    const { status, errors } = await run(args)
    expect(status).toBe(expected)
    expect(errors).toMatch(message)
  })
})

describe('hass launch', () => {
  it('takes what DeepSeek’s own layer needs from its name', async () => {
    const { output } = await run([
      'launch',
      'sglang',
      '--target',
      'deepseek-ai/DeepSeek-R1',
      '--draft',
      'lmsys/DeepSeek-R1-NextN',
    ])
    expect(output).toMatch(/--speculative-num-steps 3 .*\n.*topk 1 .*\n.*draft-tokens 4 /)
  })

  it('passes on what stands behind --', async () => {
    const { output } = await run(['launch', 'vllm', '--target', 'T', '--', '--dtype', 'half', "it's"])
    expect(output).toMatch(/--dtype half 'it'\\''s'\n$/)
  })

  it.each([
    [['launch', 'triton', '--target', 'T'], /Allowed choices/],
    [['launch', 'sglang'], /--target/],
    [['launch', 'sglang', '--target', 'T', '--draft', 'd', '--depth', '1.5'], /whole number/],
    [['launch', 'vllm', '--target', 'T', '--features'], /SGLang’s/],
  ])('%j is wrong usage', async (args, message) => {
    const { status, errors } = await run(args)
    expect([status, errors]).toEqual([2, expect.stringMatching(message)])
  })

  it.skipIf(process.platform === 'win32')('starts it where asked, and ends as it ends', async () => {
    const python = join(folder, 'python3')
    await writeFile(python, '#!/bin/sh\nexit 7\n')
    await chmod(python, 0o755)
    vi.stubEnv('PATH', folder + delimiter + process.env.PATH)
    expect((await run(['launch', 'sglang', '--target', 'T', '--run'])).status).toBe(7)
  })

  it('says that it cannot be started', async () => {
    vi.stubEnv('PATH', join(folder, 'nothing'))
    const { status, errors } = await run(['launch', 'vllm', '--target', 'T', '--run'])
    expect([status, errors]).toEqual([1, expect.stringMatching(/^HASS_ERR_FILE: Starting vllm failed/)])
  })
})

describe('--server', () => {
  let server: Server
  let url: string
  const bodies: Record<string, unknown>[] = []
  let authorization: string | undefined
  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk) => {
        body += chunk
      })
      request.on('end', () => {
        bodies.push(JSON.parse(body))
        authorization = request.headers.authorization
        const choice = { index: 0, delta: { content: 'Mars.' }, finish_reason: 'stop', token_ids: [4, 5] }
        const usage = { prompt_tokens: 3, completion_tokens: 2 }
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.end(`data: ${JSON.stringify({ choices: [choice], usage })}\n\ndata: [DONE]\n\n`)
      })
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => server.close())

  it('answers with a server, its key from the environment', async () => {
    const flags = ['--server', url, '--server-kind', 'vllm', '--server-model', 'm', '-n', '9']
    const environment = { HASS_API_KEY: 'secret' }
    const { status, output } = await run(['generate', ...flags, 'Which planet is red?'], { input: '', environment })
    expect([status, output]).toEqual([0, 'Mars.\n'])
    expect(bodies.at(-1)).toMatchObject({ model: 'm', max_tokens: 9, temperature: 0, top_k: -1 })
    expect(authorization).toBe('Bearer secret')
    const json = await run(['generate', ...flags, '--json', 'Which planet is red?'])
    expect(JSON.parse(json.output)).toMatchObject({ text: 'Mars.', tokens: [4, 5], usage: { completionTokens: 2 } })
  })

  it('chats with one', async () => {
    const { status, output } = await run(['chat', '--server', url], { input: 'Which planet is red?\nSure?\n' })
    expect([status, output]).toEqual([0, 'Mars.\nMars.\n'])
    expect(bodies.at(-1)!.messages).toHaveLength(3)
  })

  it('measures one against another', async () => {
    const sets = join(folder, 'planets.jsonl')
    await writeFile(sets, `${JSON.stringify({ id: 'planets/1', turns: ['Which planet is red?'] })}\n`)
    const servers = [
      '--server',
      `slow=${url}`,
      '--server',
      `fast=${url}`,
      '--server-kind',
      'vllm',
      '--server-model',
      'm',
    ]
    const args = ['bench', ...servers, '--sets', sets, '--temperatures', '0', '-n', '9', '--json']
    const { status, output } = await run(args)
    expect(status).toBe(0)
    const { settings, cells } = JSON.parse(output) as BenchmarkSummary
    expect([settings.baseline, settings.subjects.map(({ name }) => name)]).toEqual(['slow', ['slow', 'fast']])
    expect(cells.map(({ subject, identical, failures }) => [subject, identical, failures])).toEqual([
      ['slow', { prompts: 1 }, []],
      ['fast', { prompts: 1 }, []],
    ])
    expect(bodies.at(-1)).toMatchObject({ model: 'm', max_tokens: 9, temperature: 0 })
  })

  it.each([
    [['--server', 'http://h'], /is no NAME=URL/],
    [['--server', 'a=http://h', '--server', 'a=http://g'], /Two servers are called "a"/],
    [['--server', 'a=http://h', '--threads', '1'], /--threads is for a model on this machine/],
    [['--server', 'a=http://h', '--methods', 'chain'], /--methods and --eagle-draft/],
    [['--server-kind', 'vllm'], /--server is: it is missing/],
  ])('refuses to measure with %j', async (flags, message) => {
    const { status, errors } = await run(['bench', ...flags])
    expect([status, errors]).toEqual([2, expect.stringMatching(message)])
  })

  it.each([
    [['--server', 'http://127.0.0.1:1', '--draft', 'ngram'], 2, /--draft is for a model on this machine/],
    [['--server-kind', 'vllm'], 2, /--server.* is missing/],
    [['--server', 'nonsense'], 1, /HASS_ERR_INVALID_ARGUMENT/],
    [['--server', 'http://127.0.0.1:1', '--top-k', '5'], 1, /HASS_ERR_UNSUPPORTED_OPTION/],
  ])('%j fails with status %d', async (flags, expected, message) => {
    const { status, errors } = await run(['generate', ...flags, 'x'])
    expect([status, errors]).toEqual([expected, expect.stringMatching(message)])
  })
})
