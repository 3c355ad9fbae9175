import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { modelPath } from '@hass-engine/smollm2-135m-instruct'
import { writeSafetensors } from '@hass-engine/weights'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
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
    [['generate', '--device', 'gpu', 'x'], /Allowed choices are auto, cpu, reference/],
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
  const question = 'Which planet is called the red planet?'

  it('answers an argument, a file and a pipe alike', async () => {
    const file = join(folder, 'question.txt')
    await writeFile(file, question)
    const argument = await run(['generate', '-n', '12', question])
    expect(argument).toMatchObject({ status: 0, errors: '' })
    expect(argument.output).toMatch(/^\S.*\n$/)
    expect(await run(['generate', '-n', '12', '--file', file])).toEqual(argument)
    expect(await run(['generate', '-n', '12'], { input: question })).toEqual(argument)
    expect(await run(['generate', '-n', '12', '--prompt', question])).toEqual(argument)
  })

  it('prints one JSON object, its text that of the plain output, its seed good for the same text again', async () => {
    const args = ['generate', '-n', '12', '--temperature', '1', '--draft', 'ngram', question]
    const first = JSON.parse((await run([...args, '--json', '--top-log-probs', '1'])).output) as {
      text: string
      tokens: number[]
      seed: string
      logProbs: unknown[]
    }
    expect(first).toMatchObject({ usage: { completionTokens: first.tokens.length }, speculation: {}, timings: {} })
    expect(first.logProbs).toHaveLength(first.tokens.length)
    const again = await run([...args, '--seed', first.seed, '--plain'])
    expect(again.output.trimEnd()).toBe(first.text.trimEnd())
  })

  it('continues a raw prompt without a template', async () => {
    const args = ['generate', '--raw', '--json', '-n', '4', '1, 2, 3, 4,']
    const { usage } = JSON.parse((await run(args)).output) as { usage: { promptTokens: number } }
    const templated = JSON.parse((await run(args.filter((arg) => arg !== '--raw'))).output) as typeof usage & {
      usage: { promptTokens: number }
    }
    expect(usage.promptTokens).toBeLessThan(templated.usage.promptTokens)
  })

  it('refuses what the engine refuses', async () => {
    const { status, errors } = await run(['generate', '--temperature', '-1', 'x'])
    expect(status).toBe(1)
    expect(errors).toMatch(/^HASS_ERR_INVALID_ARGUMENT: temperature is .*\n$/)
  })
})
