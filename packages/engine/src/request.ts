import {
  checkNumber,
  checkOptionKeys,
  type GenerateOptions,
  InvalidArgumentError,
  type Token,
  type TreePolicy,
} from '@hass-engine/core'
import { createSampler, type ProcessorOptions, type Sampler } from '@hass-engine/sampler'
import type { ChatOptions, Tokenizer } from '@hass-engine/tokenizer'
import { PromptTooLongError } from './errors.js'

/** What an engine takes beyond what every generator does. */
export interface EngineGenerateOptions
  extends GenerateOptions,
    Pick<ProcessorOptions, 'bannedTokens' | 'forcedTokens' | 'minTokens' | 'mask' | 'processors' | 'order'> {
  /** What this request's trees hold. Changes the speed only. Defaults to the engine's. */
  readonly policy?: TreePolicy
  /** Rank candidates with the target's noise at temperatures above 0. Changes the speed only. Defaults to true. */
  readonly isCoupled?: boolean
  /** Functions, documents and variables for the chat template. */
  readonly chat?: Omit<ChatOptions, 'addGenerationPrompt'>
}

const samplerKeys = [
  'temperature',
  'topK',
  'topP',
  'minP',
  'typicalP',
  'repetitionPenalty',
  'presencePenalty',
  'frequencyPenalty',
  'logitBias',
  'bannedTokens',
  'forcedTokens',
  'minTokens',
  'mask',
  'processors',
  'order',
  'seed',
] as const

const requestKeys = [
  ...samplerKeys,
  'prompt',
  'messages',
  'tokens',
  'maxTokens',
  'stop',
  'stopTokens',
  'topLogProbs',
  'signal',
  'speculate',
  'policy',
  'isCoupled',
  'chat',
]

/** A request, checked, its prompt as tokens. */
export interface PreparedRequest {
  readonly promptTokens: readonly Token[]
  readonly maxTokens: number
  readonly sampler: Sampler
  readonly stops: readonly string[]
  readonly stopTokens: ReadonlySet<Token>
  readonly topLogProbs: number | undefined
  readonly speculate: boolean
  readonly policy: TreePolicy | undefined
  readonly isCoupled: boolean
  readonly signal: AbortSignal | undefined
}

export interface RequestContext {
  readonly tokenizer: Tokenizer
  readonly vocabSize: number
  readonly maxContext: number
}

/**
 * Checks a request before the engine sees any of it.
 *
 * @throws InvalidArgumentError, PromptTooLongError, and what the sampler and the tokenizer throw
 */
export async function prepareRequest(
  options: EngineGenerateOptions,
  context: RequestContext,
): Promise<PreparedRequest> {
  checkRequest(options)
  const { vocabSize, maxContext, tokenizer } = context
  const stopTokens = new Set([...tokenizer.endOfGenerationIds, ...(options.stopTokens ?? [])])
  checkTokens(stopTokens, 'stopTokens', vocabSize)
  checkTokens(Object.keys(options.logitBias ?? {}).map(Number), 'logitBias', vocabSize)
  checkTokens(options.bannedTokens ?? [], 'bannedTokens', vocabSize)
  checkTokens(Object.values(options.forcedTokens ?? {}), 'forcedTokens', vocabSize)
  if (options.topLogProbs !== undefined) {
    checkNumber(options.topLogProbs, 'topLogProbs', { min: 0, max: 1000, isInteger: true })
  }
  const promptTokens = await promptOf(options, context)
  const room = maxContext - promptTokens.length
  const maxTokens = checkNumber(options.maxTokens ?? room, 'maxTokens', { min: 1, isInteger: true })
  return {
    promptTokens,
    maxTokens: Math.min(maxTokens, room),
    sampler: createSampler({
      ...Object.fromEntries(samplerKeys.filter((key) => options[key] !== undefined).map((key) => [key, options[key]])),
      promptLength: promptTokens.length,
      stopTokens: [...stopTokens],
    }),
    stops: typeof options.stop === 'string' ? [options.stop] : (options.stop ?? []),
    stopTokens,
    topLogProbs: options.topLogProbs,
    speculate: options.speculate ?? true,
    policy: options.policy,
    isCoupled: options.isCoupled ?? true,
    signal: options.signal,
  }
}

/** What can be told from the options alone. */
function checkRequest(options: EngineGenerateOptions): void {
  const isObject = (value: unknown) => typeof value === 'object' && value !== null
  const check = (isValid: boolean, name: string, expected: string) => {
    if (!isValid) throw new InvalidArgumentError(`${name} is not ${expected}.`, { name })
  }
  check(isObject(options), 'The request', 'an object of options')
  checkOptionKeys(options, requestKeys, 'generateText')
  const { stop = [], stopTokens = [], bannedTokens = [], signal, policy, speculate = true, isCoupled = true } = options
  const isText = (value: unknown) => typeof value === 'string' && value.length > 0
  check(isText(stop) || (Array.isArray(stop) && stop.every(isText)), 'stop', 'a text or texts, none of them empty')
  check(Array.isArray(stopTokens), 'stopTokens', 'an array of token ids')
  check(Array.isArray(bannedTokens), 'bannedTokens', 'an array of token ids')
  check(signal === undefined || signal instanceof AbortSignal, 'signal', 'an AbortSignal')
  check(policy === undefined || typeof policy?.start === 'function', 'policy', 'a tree policy')
  check(typeof speculate === 'boolean', 'speculate', 'true or false')
  check(typeof isCoupled === 'boolean', 'isCoupled', 'true or false')
}

async function promptOf(options: EngineGenerateOptions, context: RequestContext): Promise<Token[]> {
  const { prompt, messages, tokens, chat } = options
  const given = Object.entries({ prompt, messages, tokens }).filter(([, value]) => value !== undefined)
  if (given.length !== 1) {
    throw new InvalidArgumentError(
      `The request has ${given.map(([name]) => name).join(' and ') || 'no prompt'}, expected one of prompt, messages and tokens.`,
      { given: given.map(([name]) => name) },
    )
  }
  if (chat && !messages) {
    throw new InvalidArgumentError('chat is for the chat template: give it together with messages.')
  }
  const { tokenizer, vocabSize, maxContext } = context
  const ids =
    tokens !== undefined
      ? tokens
      : messages !== undefined
        ? (await tokenizer.encodeChat(messages, { ...chat, addGenerationPrompt: true })).ids
        : (await tokenizer.encode(checkText(prompt), { addSpecialTokens: true })).ids
  const count = checkNumber(ids?.length, 'Tokens of the prompt', { min: 1, isInteger: true })
  // Before a copy is made: a length is easily claimed.
  if (count >= maxContext) throw new PromptTooLongError(count, maxContext)
  const copy = Array.from(ids)
  checkTokens(copy, 'tokens', vocabSize)
  return copy
}

function checkText(prompt: unknown): string {
  if (typeof prompt === 'string') return prompt
  throw new InvalidArgumentError(`prompt is ${typeof prompt}, expected text.`)
}

function checkTokens(tokens: Iterable<unknown>, name: string, vocabSize: number): void {
  let index = 0
  for (const token of tokens) checkNumber(token, `${name}[${index++}]`, { min: 0, below: vocabSize, isInteger: true })
}
