import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { modelPath } from '@hass-engine/smollm2-135m-instruct'
import { writeSafetensors } from '@hass-engine/weights'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { goldenPath } from '../../../test/support/golden.js'
import { createModelFolder, goldenHeads, targetOf } from '../../engine/src/testing/tiny-models.js'
import { runCli } from './run-cli.js'
import { createMemoryTerminal, type MemoryTerminalOptions } from './testing/memory-terminal.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hass-cli-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function run(args: readonly string[], options: MemoryTerminalOptions = { input: '' }) {
  const terminal = createMemoryTerminal(options)
  const status = await runCli(args, terminal)
  return { status, ...terminal.written }
}

describe('wrong usage', () => {
  it.each([
    [['genrate'], /unknown command 'genrate' \(Did you mean generate\?\)/],
    [['generate', '--jsn', 'x'], /unknown option '--jsn' \(Did you mean --json\?\)/],
    [['generate', 'x', 'y'], /too many arguments/],
    [['generate', '--seed', '1.5', 'x'], /argument '1\.5' is invalid/],
    [['generate', '--max-tokens'], /argument missing/],
    [['generate', '--device', 'gpu', 'x'], /Allowed choices are auto, cpu, cuda, reference/],
    [['generate', 'x', '--prompt', 'y'], /given twice/],
    [['generate', '--raw', '--system', 's', 'x'], /--system/],
    [['generate', '--top-log-probs', '2', 'x'], /--json/],
    [['generate'], /Standard input is empty/],
    [['inspect'], /missing required argument/],
    [['doctor', 'x'], /too many arguments/],
  ])('%j is one line and status 2', async (args, message) => {
    const { status, output, errors } = await run(args)
    expect(status).toBe(2)
    expect(output).toBe('')
    expect(errors).toMatch(/^HASS_ERR_USAGE: .*\n$/)
    expect(errors).toMatch(message)
  })

  it('asks a person for a prompt', async () => {
    expect((await run(['generate'], { isTTY: true })).errors).toMatch(/There is no prompt/)
  })

  it('prints the help where no command is given', async () => {
    const { status, errors } = await run([])
    expect(status).toBe(2)
    expect(errors).toMatch(/^Usage: hass/)
  })
})

describe('failures', () => {
  it.each([
    [['generate', '--file', '/nowhere/prompt.txt'], 'HASS_ERR_FILE'],
    [['generate', '--model', '/nowhere', 'x'], 'HASS_ERR_MODEL_FILES'],
    [['inspect', '/nowhere'], 'HASS_ERR_FILE'],
    [['doctor', '--threads', '0'], 'HASS_ERR_INVALID_ARGUMENT'],
  ])('%j is one line `code: message` and status 1', async (args, code) => {
    const { status, output, errors } = await run(args)
    expect([status, output]).toEqual([1, ''])
    expect(errors).toMatch(new RegExp(`^${code}: .*\\n$`))
  })

  it('show a stack only where it is asked for', async () => {
    const { errors } = await run(['inspect', '/nowhere'], { input: '', environment: { HASS_DEBUG: '1' } })
    expect(errors).toMatch(/\n\s+at /)
  })

  it('show no control characters of a file’s name', async () => {
    expect((await run(['inspect', '/no\u001b[2Jwhere'])).errors).toMatch(/no\\u001b\[2Jwhere/)
  })
})

describe('help and version', () => {
  it.each([[['--help']], [['chat', '--help']], [['generate', '-h']], [['--version']]])('%j succeeds', async (args) => {
    const { status, output, errors } = await run(args)
    expect([status, errors]).toEqual([0, ''])
    expect(output).toMatch(/Usage: hass|^\d+\.\d+\.\d+/)
  })
})

describe('doctor', () => {
  it('tells of the machine, as JSON too', async () => {
    const { status, output } = await run(['doctor', '--no-measure'])
    expect(status).toBe(0)
    expect(output).toContain(process.versions.node)
    const facts = JSON.parse((await run(['doctor', '--json', '--no-measure'])).output) as Record<string, unknown>
    expect(facts).toMatchObject({ node: process.versions.node, platform: `${process.platform}-${process.arch}` })
    expect(facts.isas).toContain(facts.isa)
    expect(facts.rates).toBeUndefined()
    expect(output).toMatch(/CUDA device +(no (library|driver|device): |.* \(sm_\d+\))/)
    expect(facts.cuda).toSatisfy((cuda: { error?: { code: string }; isa?: string }) =>
      cuda.error ? cuda.error.code === 'HASS_ERR_CUDA_UNAVAILABLE' : /^sm_\d+$/.test(cuda.isa!),
    )
  })
})

describe('inspect', () => {
  it('tells what a model is made of', async () => {
    const { output } = await run(['inspect', modelPath, '--json'])
    const facts = JSON.parse(output) as Record<string, unknown>
    expect(facts).toMatchObject({
      config: { architecture: 'llama', layers: 30, hiddenSize: 576 },
      parameters: 134_515_008,
      quantization: ['ggml'],
      memory: { cache: { elementsPerToken: 2 * 30 * 3 * 64, bytesPerToken: { F16: 23_040, F32: 46_080 } } },
    })
    expect(facts.tensors).toBeUndefined()
  })

  it('lists tensors where asked', async () => {
    const { output } = await run(['inspect', modelPath, '--tensors'])
    expect(output).toMatch(/layers\.29\.mlp\.down_proj\.weight +Q4_1 +\[576, 1536\]/)
    expect(output).toMatch(/Q4_1 +210 tensors/)
  })

  it('counts the tensors of a file without a configuration; integers are no parameters', async () => {
    const path = join(folder, 'some.safetensors')
    await writeSafetensors(path, [
      { name: 'a', dtype: 'F32', shape: [2, 3], data: new Uint8Array(24) },
      { name: 'b', dtype: 'BF16', shape: [5], data: new Uint8Array(10) },
      { name: 'ids', dtype: 'I64', shape: [7], data: new Uint8Array(56) },
    ])
    const facts = JSON.parse((await run(['inspect', path, '--json', '--tensors'])).output) as Record<string, unknown>
    expect(facts).toMatchObject({ parameters: 11, quantization: [], memory: { weightBytes: 90 } })
    expect(facts.dtypes).toContainEqual({ dtype: 'BF16', tensors: 1, elements: 5, bytes: 10 })
    expect(facts.tensors).toHaveLength(3)
    expect((await run(['inspect', path])).output).toMatch(/architecture +unknown/)
  })
})

describe('generate', () => {
  const head = goldenHeads[0]!
  let model: Awaited<ReturnType<typeof createModelFolder>>
  beforeAll(async () => {
    model = await createModelFolder(targetOf(head))
    vi.stubEnv('XDG_CACHE_HOME', folder)
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    await model.dispose()
  })

  interface Printed {
    readonly text: string
    readonly tokens: readonly number[]
    readonly seed: string
    readonly usage: { readonly promptTokens: number; readonly completionTokens: number }
    readonly speculation: { readonly targetCalls: number; readonly drafted: number }
    readonly logProbs?: readonly unknown[]
  }

  const generate = (args: readonly string[], options?: MemoryTerminalOptions) =>
    run(['generate', '--model', model.path, '-n', '12', ...args], options)

  async function generateJson(...args: string[]): Promise<Printed> {
    const { status, output, errors } = await generate(['--json', ...args])
    expect([status, errors]).toEqual([0, ''])
    return JSON.parse(output) as Printed
  }

  it('answers an argument, a flag, a file and a pipe alike', async () => {
    const file = join(folder, 'question.txt')
    await writeFile(file, 'a question')
    const { tokens, usage } = await generateJson('a question')
    expect(await generateJson('--prompt', 'a question')).toMatchObject({ tokens, usage })
    expect(await generateJson('--file', file)).toMatchObject({ tokens, usage })
    const piped = await generate(['--json'], { input: 'a question' })
    expect(JSON.parse(piped.output)).toMatchObject({ tokens, usage })
    expect((await generateJson('a longer question')).usage.promptTokens).toBeGreaterThan(usage.promptTokens)
  })

  it('prints the text alone, with a line break at its end', async () => {
    const { text } = await generateJson('a question')
    const output = text.endsWith('\n') ? text : `${text}\n`
    expect(await generate(['a question'])).toEqual({ status: 0, output, errors: '' })
  })

  it('prints tokens, usage, seed and log-probabilities', async () => {
    const printed = await generateJson('--temperature', '1', '--top-log-probs', '2', 'a question')
    expect(printed.usage.completionTokens).toBe(printed.tokens.length)
    expect(printed.logProbs).toHaveLength(printed.tokens.length)
    const again = await generateJson('--temperature', '1', '--seed', printed.seed, 'a question')
    expect(again.tokens).toEqual(printed.tokens)
    expect(again.seed).toBe(printed.seed)
  })

  it('has the same text with a head, with n-grams and plainly', async () => {
    const flags = ['--temperature', '0.7', '--seed', '5', 'a question a question']
    const plain = await generateJson('--draft', 'none', ...flags)
    const drafted = await generateJson('--draft', goldenPath('heads', head), ...flags)
    expect(drafted.tokens).toEqual(plain.tokens)
    expect((await generateJson('--draft', 'ngram', ...flags)).tokens).toEqual(plain.tokens)
    const off = await generateJson('--draft', goldenPath('heads', head), '--plain', ...flags)
    expect([off.tokens, off.speculation.drafted]).toEqual([plain.tokens, 0])
  })

  it('continues a raw prompt without a template, and puts a system message before the prompt', async () => {
    const raw = await generateJson('--raw', 'ab')
    const templated = await generateJson('ab')
    const instructed = await generateJson('--system', 'c', 'ab')
    expect(raw.usage.promptTokens).toBeLessThan(templated.usage.promptTokens)
    expect(templated.usage.promptTokens).toBeLessThan(instructed.usage.promptTokens)
  })

  it('shows a person what it took', async () => {
    const { output, errors } = await generate(['a question'], { input: '', isTTY: true })
    expect(output).not.toBe('')
    expect(errors).toMatch(/tokens\/s · τ 1\.00 · \d+ tokens · first after/)
  })

  it('refuses what the engine refuses', async () => {
    const { status, errors } = await generate(['--temperature', '-1', 'x'])
    expect(status).toBe(1)
    expect(errors).toMatch(/^HASS_ERR_INVALID_ARGUMENT: temperature is .*\n$/)
  })

  it('chats with a pipe, and shows the tree where it drafted one', async () => {
    const { status, output, errors } = await run(
      ['chat', '--model', model.path, '--draft', goldenPath('heads', head), '-n', '12'],
      { input: 'a question\n/tree\n' },
    )
    expect(status).toBe(0)
    expect(output).not.toBe('')
    expect(errors).toMatch(/└─ "|Nothing has been drafted yet/)
  })
})
