import { Command, CommanderError } from 'commander'
import { describe, expect, it } from 'vitest'
import {
  addModelFlags,
  addSamplingFlags,
  engineOptions,
  generateOptions,
  type ModelFlags,
  type SamplingFlags,
} from './options.js'

function parse(...args: string[]): ModelFlags & SamplingFlags {
  const command = addSamplingFlags(addModelFlags(new Command()))
    .exitOverride()
    .configureOutput({ outputError: () => {} })
  return command.parse(args, { from: 'user' }).opts()
}

describe('flags', () => {
  it('leave everything but the length to the engine', () => {
    expect(engineOptions(parse())).toEqual({})
    expect(generateOptions(parse())).toEqual({ maxTokens: 1024 })
  })

  it('become options of the engine', () => {
    const flags = parse('-m', 'folder', '-d', 'ngram', '-t', '3', '--device', 'cpu', '--context-tokens', '512')
    expect(engineOptions(flags)).toEqual({
      model: 'folder',
      draft: 'ngram',
      threads: 3,
      device: 'cpu',
      contextTokens: 512,
    })
    expect(engineOptions(parse('--draft', 'none'))).toEqual({ draft: false })
  })

  it('become options of a request', () => {
    const flags = parse(
      ...['-n', '5', '--temperature', '0.5', '--top-k', '4', '--top-p', '.9', '--min-p', '1e-2', '--typical-p', '0.8'],
      ...['--repetition-penalty', '1.1', '--presence-penalty', '-1', '--frequency-penalty', '0.2'],
      ...['--seed', '18446744073709551615', '--stop', 'a', '--stop', 'b', '--plain'],
    )
    expect(generateOptions(flags)).toEqual({
      maxTokens: 5,
      temperature: 0.5,
      topK: 4,
      topP: 0.9,
      minP: 0.01,
      typicalP: 0.8,
      repetitionPenalty: 1.1,
      presencePenalty: -1,
      frequencyPenalty: 0.2,
      seed: 2n ** 64n - 1n,
      stop: ['a', 'b'],
      speculate: false,
    })
  })

  it.each([
    ['--threads', 'two'],
    ['--temperature', ''],
    ['--temperature', 'NaN'],
    ['--seed', '-1'],
    ['--seed', '1.5'],
    ['--device', 'gpu'],
  ])('%s %j is wrong usage', (flag, value) => {
    expect(() => parse(flag, value)).toThrow(CommanderError)
  })
})
