import { checkNumber, InvalidArgumentError, type Token } from '@hass-engine/core'
import type { TemperatureShare } from './prompts.js'

/** What decides the texts of a corpus, besides prompts and target. */
export interface CorpusSettings {
  /** At which temperatures prompts are answered; shares add up to 1. */
  readonly temperatures: readonly TemperatureShare[]
  /** Put before each id where its temperature and seed are drawn: another salt, other texts. */
  readonly salt: string
  /** Tokens of a response. */
  readonly maxTokens: number
  /** Tokens of a prompt; longer ones are left out. Dialogues are cut to this and `maxTokens` together. */
  readonly maxPromptTokens: number
  /** Turns of a prompt that are answered. */
  readonly maxTurns: number
  /** Tokens after one of which a response ends. */
  readonly endTokens: readonly Token[]
}

/** Half greedy, for that is what most speculation is measured by; the rest as people sample. */
const defaultTemperatures: readonly TemperatureShare[] = [
  { temperature: 0, share: 0.5 },
  { temperature: 1, share: 0.35 },
  { temperature: 0.7, share: 0.15 },
]

/** Checks settings and completes them with the defaults. */
export function completeSettings(given: Partial<CorpusSettings>, endTokens: readonly Token[]): CorpusSettings {
  const temperatures = given.temperatures ?? defaultTemperatures
  for (const { temperature, share } of temperatures) {
    checkNumber(temperature, 'temperature', { min: 0, max: 100 })
    checkNumber(share, 'share', { min: 0, max: 1 })
  }
  const sum = temperatures.reduce((total, { share }) => total + share, 0)
  if (Math.abs(sum - 1) > 1e-6) {
    throw new InvalidArgumentError(`The shares of the temperatures add up to ${sum}, expected 1.`, { sum })
  }
  return {
    temperatures: temperatures.map(({ temperature, share }) => ({ temperature, share })),
    salt: given.salt ?? '',
    maxTokens: checkNumber(given.maxTokens ?? 512, 'maxTokens', { min: 1, isInteger: true }),
    maxPromptTokens: checkNumber(given.maxPromptTokens ?? 1536, 'maxPromptTokens', { min: 1, isInteger: true }),
    maxTurns: checkNumber(given.maxTurns ?? 8, 'maxTurns', { min: 1, isInteger: true }),
    endTokens: [...(given.endTokens ?? endTokens)],
  }
}
