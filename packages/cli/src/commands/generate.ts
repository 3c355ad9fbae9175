import { readFile } from 'node:fs/promises'
import { text as readAll } from 'node:stream/consumers'
import type { EngineGenerateOptions } from '@hass-engine/engine'
import type { Command } from 'commander'
import pc from 'picocolors'
import { FileError, UsageError } from '../errors.js'
import { statusLine, toJson } from '../format.js'
import { openGenerator } from '../open-engine.js'
import {
  addModelFlags,
  addSamplingFlags,
  addServerFlags,
  generateOptions,
  type ModelFlags,
  parseNumber,
  type SamplingFlags,
  type ServerFlags,
} from '../options.js'
import { type Terminal, withoutControls, write } from '../terminal.js'

interface GenerateFlags extends ModelFlags, SamplingFlags, ServerFlags {
  readonly prompt?: string
  readonly file?: string
  readonly system?: string
  readonly raw?: true
  readonly json?: true
  readonly topLogProbs?: number
}

export function addGenerate(program: Command, terminal: Terminal): void {
  const command = program
    .command('generate')
    .description('answer one prompt: an argument, a file, or standard input')
    .argument('[prompt]', 'what to answer')
    .option('-p, --prompt <text>', 'the prompt, where an argument is unhandy')
    .option('-f, --file <path>', 'read the prompt from a file')
    .option('--system <text>', 'what the model is told before the prompt')
    .option('--raw', 'continue the prompt as it stands, without the chat template')
    .option('--json', 'print one JSON object: text, tokens, usage, timings, speculation, seed')
    .option('--top-log-probs <count>', 'with --json: log-probabilities of tokens and so many others', parseNumber)
  addServerFlags(addSamplingFlags(addModelFlags(command))).action((prompt: string | undefined, flags: GenerateFlags) =>
    generate(prompt, flags, terminal),
  )
}

async function generate(argument: string | undefined, flags: GenerateFlags, terminal: Terminal): Promise<void> {
  const { raw, system, json, topLogProbs } = flags
  if (raw && system !== undefined) throw new UsageError('--system is part of a chat: leave it or --raw out.')
  if (topLogProbs !== undefined && !json) throw new UsageError('--top-log-probs are printed with --json only.')
  const prompt = await readPrompt(argument, flags, terminal)
  const options: EngineGenerateOptions = {
    ...generateOptions(flags),
    ...(topLogProbs !== undefined && { topLogProbs }),
    ...(raw
      ? { prompt }
      : {
          messages: [
            ...(system === undefined ? [] : [{ role: 'system', content: system }]),
            { role: 'user', content: prompt },
          ],
        }),
  }
  await using engine = await openGenerator(flags, terminal)
  const { output, errors } = terminal
  if (json) return write(output, toJson(await engine.generateText(options)))
  await using stream = engine.streamText(options)
  for await (const text of stream.textStream) await write(output, output.isTTY ? withoutControls(text) : text)
  const result = await stream.result
  if (!result.text.endsWith('\n')) await write(output, '\n')
  if (output.isTTY && errors.isTTY) errors.write(`${pc.dim(statusLine(result))}\n`)
}

async function readPrompt(argument: string | undefined, { prompt, file }: GenerateFlags, { input }: Terminal) {
  const given = [argument, prompt, file].filter((value) => value !== undefined)
  if (given.length > 1)
    throw new UsageError('The prompt is given twice: as an argument, with --prompt, or with --file.')
  if (file !== undefined) {
    return readFile(file, 'utf8').catch((cause: unknown) => {
      throw new FileError('Reading', file, cause)
    })
  }
  if (given.length === 1) return given[0]!
  if (input.isTTY) throw new UsageError('There is no prompt: give it as an argument, with --file, or through a pipe.')
  const piped = await readAll(input)
  if (piped.trim() === '') throw new UsageError('Standard input is empty: there is no prompt.')
  return piped
}
