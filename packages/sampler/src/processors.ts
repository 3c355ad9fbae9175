import { checkNumber, checkOptionKeys, InvalidArgumentError, type SamplingOptions, type Token } from '@hass-engine/core'
import { bannedTokens, forcedTokens, logitBias, mask, minTokens, type TokenMask } from './constraints.js'
import { minP, topK, topP, typicalP } from './cuts.js'
import { frequencyPenalty, presencePenalty, repetitionPenalty } from './penalties.js'
import type { LogitsProcessor } from './processor.js'

/** The built-in processors, in the order in which they are applied unless `order` says otherwise. */
export const processorNames = [
  'repetitionPenalty',
  'presencePenalty',
  'frequencyPenalty',
  'logitBias',
  'processors',
  'minTokens',
  'bannedTokens',
  'mask',
  'forcedTokens',
  'temperature',
  'topK',
  'topP',
  'minP',
  'typicalP',
] as const

/** Name of a built-in processor; `'processors'` stands for the caller's own. */
export type ProcessorName = (typeof processorNames)[number]

/**
 * How a row of logits becomes the distribution that is chosen from. Absent options leave it alone.
 *
 * At temperature 0 the choice is the arg max after penalties and constraints; `topK`, `topP`, `minP` and `typicalP`
 * have no say.
 */
export interface ProcessorOptions extends Omit<SamplingOptions, 'seed'> {
  /** Tokens before the first generated one: presence and frequency penalties, steps count from here. Defaults to 0. */
  readonly promptLength?: number
  readonly bannedTokens?: readonly Token[]
  /** Tokens that must be chosen, by step; step 0 is the first after the prompt. */
  readonly forcedTokens?: Readonly<Record<number, Token>>
  /** No stop token before so many tokens have been generated. Needs `stopTokens`. */
  readonly minTokens?: number
  readonly stopTokens?: readonly Token[]
  readonly mask?: TokenMask
  /** The caller's own, applied in this order. */
  readonly processors?: readonly LogitsProcessor[]
  /** All that shall be applied, first to last. Defaults to `processorNames`. */
  readonly order?: readonly ProcessorName[]
}

/** Every key that `createProcessors` knows. */
export const processorOptionKeys = [...processorNames, 'promptLength', 'stopTokens', 'order'] as const

// Far beyond any use, and small enough that no product or quotient of it and a float32 logit overflows.
const largest = 1e30

/**
 * The processors that options ask for, in the order of their application.
 *
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT` for an unknown option, a value out of range, or an `order`
 * that leaves out what is asked for
 */
export function createProcessors(options: ProcessorOptions): LogitsProcessor[] {
  checkOptionKeys(options, processorOptionKeys, 'createProcessors')
  const { order = processorNames, promptLength = 0 } = options
  checkNumber(promptLength, 'promptLength', { min: 0, isInteger: true })
  checkOrder(order, options)
  const isGreedy = checkTemperature(options.temperature) === 0

  return order
    .filter((name) => options[name] !== undefined)
    .flatMap((name) => {
      const created = creators[name](options, promptLength)
      return isGreedy && isScaleOrCut(name) ? [] : created
    })
}

type Creator = (options: ProcessorOptions, promptLength: number) => readonly LogitsProcessor[]

const creators: Record<ProcessorName, Creator> = {
  repetitionPenalty: ({ repetitionPenalty: value }) => [
    repetitionPenalty(checkNumber(value, 'repetitionPenalty', { min: 1 / largest, max: largest })),
  ],
  presencePenalty: ({ presencePenalty: value }, from) => [
    presencePenalty(checkNumber(value, 'presencePenalty', { min: -largest, max: largest }), from),
  ],
  frequencyPenalty: ({ frequencyPenalty: value }, from) => [
    frequencyPenalty(checkNumber(value, 'frequencyPenalty', { min: -largest, max: largest }), from),
  ],
  logitBias(options) {
    const biases = options.logitBias!
    for (const [token, bias] of Object.entries(biases)) {
      checkNumber(Number(token), 'A token of logitBias', natural)
      checkNumber(bias, `logitBias of token ${token}`, { min: -largest, max: largest })
    }
    return [logitBias(biases)]
  },
  processors: ({ processors }) => processors!,
  minTokens({ minTokens: count, stopTokens }, promptLength) {
    checkNumber(count, 'minTokens', natural)
    if (!stopTokens) {
      throw new InvalidArgumentError('minTokens is given without stopTokens; name the tokens that it shall ban.')
    }
    return [minTokens(count!, checkTokens(stopTokens, 'stopTokens'), promptLength)]
  },
  bannedTokens: (options) => [bannedTokens(checkTokens(options.bannedTokens!, 'bannedTokens'))],
  mask: (options) => [mask(options.mask!)],
  forcedTokens(options, promptLength) {
    const tokens = options.forcedTokens!
    for (const step of Object.keys(tokens)) checkNumber(Number(step), 'A step of forcedTokens', natural)
    checkTokens(Object.values(tokens), 'forcedTokens')
    return [forcedTokens(tokens, promptLength)]
  },
  temperature: (options) => [temperature(options.temperature!)],
  topK: (options) => [topK(checkNumber(options.topK, 'topK', { min: 1, isInteger: true }))],
  topP: (options) => [topP(checkNumber(options.topP, 'topP', { above: 0, max: 1 }))],
  minP: (options) => [minP(checkNumber(options.minP, 'minP', { min: 0, max: 1 }))],
  typicalP: (options) => [typicalP(checkNumber(options.typicalP, 'typicalP', { above: 0, max: 1 }))],
}

const natural = { min: 0, isInteger: true }

function checkTokens(tokens: readonly Token[], option: string): readonly Token[] {
  for (const token of tokens) checkNumber(token, `A token of ${option}`, natural)
  return tokens
}

/** Divides every logit. */
function temperature(value: number): LogitsProcessor {
  return {
    name: 'temperature',
    process(logits) {
      for (let i = 0; i < logits.length; i++) logits[i]! /= value
    },
  }
}

/** Returns a temperature if it is one: 0, or 1e-6 to 1e6. Defaults to 0. */
export function checkTemperature(value: number | undefined = 0): number {
  // Nearer to zero the division would overflow for logits that a model can have.
  return value === 0 ? 0 : checkNumber(value, 'temperature', { min: 1e-6, max: 1e6 })
}

function isScaleOrCut(name: ProcessorName): boolean {
  return processorNames.indexOf(name) >= processorNames.indexOf('temperature')
}

function checkOrder(order: readonly ProcessorName[], options: ProcessorOptions): void {
  const wrong = order.find((name, i) => !processorNames.includes(name) || order.indexOf(name) !== i)
  if (wrong !== undefined) {
    throw new InvalidArgumentError(
      `order has "${wrong}" twice or there is no such processor; expected some of ${processorNames.join(', ')}, each once.`,
      { order, name: wrong },
    )
  }
  const missing = processorNames.find((name) => options[name] !== undefined && !order.includes(name))
  if (missing !== undefined) {
    throw new InvalidArgumentError(`The option ${missing} is given but "${missing}" is not in order; add it there.`, {
      order,
      name: missing,
    })
  }
}
