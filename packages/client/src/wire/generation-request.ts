import { checkNumber, checkOptionKeys, type GenerateOptions, InvalidArgumentError, type Token } from '@hass-engine/core'

const requestKeys = [
  'prompt',
  'messages',
  'tokens',
  'maxTokens',
  'stop',
  'stopTokens',
  'topLogProbs',
  'speculate',
  'signal',
  'temperature',
  'topK',
  'topP',
  'minP',
  'typicalP',
  'repetitionPenalty',
  'presencePenalty',
  'frequencyPenalty',
  'logitBias',
  'seed',
]

/** A request as its caller meant it: checked, copied, what core leaves open decided. */
export interface GenerationRequest extends Omit<GenerateOptions, 'tokens' | 'stop' | 'temperature' | 'stopTokens'> {
  readonly tokens?: readonly Token[]
  readonly stops: readonly string[]
  readonly stopTokens: readonly Token[]
  /** Said outright: servers take the model's own defaults for what is not said, core takes 0. */
  readonly temperature: number
}

/**
 * Checks what can be told without the model. Ids beyond its vocabulary are the server's to refuse.
 *
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT`
 */
export function checkRequest(options: GenerateOptions): GenerationRequest {
  if (typeof options !== 'object' || options === null) throw new InvalidArgumentError('The request is no object.')
  checkOptionKeys(options, requestKeys, 'generateText')
  checkNumbers(options)
  const {
    prompt,
    messages,
    stop = [],
    stopTokens = [],
    speculate,
    signal,
    seed,
    tokens,
    temperature,
    ...others
  } = options
  const given = Object.entries({ prompt, messages, tokens }).filter(([, value]) => value !== undefined)
  if (given.length !== 1) {
    const names = given.map(([name]) => name)
    throw new InvalidArgumentError(
      `The request has ${names.join(' and ') || 'no prompt'}, expected one of prompt, messages and tokens.`,
      { given: names },
    )
  }
  const check = (isValid: boolean, name: string, expected: string) => {
    if (!isValid) throw new InvalidArgumentError(`${name} is not ${expected}.`, { name })
  }
  check(prompt === undefined || typeof prompt === 'string', 'prompt', 'a text')
  check(messages === undefined || (Array.isArray(messages) && messages.every(isMessage)), 'messages', 'a conversation')
  check(isText(stop) || (Array.isArray(stop) && stop.every(isText)), 'stop', 'a text or texts, none of them empty')
  check(signal === undefined || signal instanceof AbortSignal, 'signal', 'an AbortSignal')
  check(speculate === undefined || typeof speculate === 'boolean', 'speculate', 'true or false')
  return {
    ...others,
    ...(prompt !== undefined && { prompt }),
    ...(messages !== undefined && { messages }),
    ...(tokens !== undefined && { tokens: checkTokens(tokens, 'tokens') }),
    ...(speculate !== undefined && { speculate }),
    ...(signal !== undefined && { signal }),
    ...(seed !== undefined && { seed: checkSeed(seed) }),
    temperature: temperature ?? 0,
    stops: typeof stop === 'string' ? [stop] : [...stop],
    stopTokens: checkTokens(stopTokens, 'stopTokens'),
  }
}

function checkNumbers(options: GenerateOptions): void {
  const bounds = {
    temperature: { min: 0 },
    topK: { min: 1, isInteger: true },
    topP: { above: 0, max: 1 },
    minP: { min: 0, max: 1 },
    typicalP: { above: 0, max: 1 },
    repetitionPenalty: { above: 0 },
    presencePenalty: {},
    frequencyPenalty: {},
    maxTokens: { min: 1, isInteger: true },
    topLogProbs: { min: 0, max: 1000, isInteger: true },
  }
  for (const [name, bound] of Object.entries(bounds)) {
    const value = options[name as keyof typeof bounds]
    if (value !== undefined) checkNumber(value, name, bound)
  }
  for (const [token, bias] of Object.entries(options.logitBias ?? {})) {
    checkToken(Number(token), 'logitBias')
    checkNumber(bias, `logitBias[${token}]`)
  }
}

function checkSeed(seed: number | bigint): bigint {
  const value = typeof seed === 'bigint' ? seed : BigInt(checkNumber(seed, 'seed', { min: 0, isInteger: true }))
  if (value >= 0n && value < 2n ** 64n) return value
  throw new InvalidArgumentError(`seed is ${value}, expected an integer from 0 to 2^64 - 1.`, { seed: value })
}

function checkTokens(tokens: ArrayLike<Token>, name: string): Token[] {
  checkNumber(tokens?.length, `${name}.length`, { min: name === 'tokens' ? 1 : 0, isInteger: true })
  return Array.from(tokens, (token, index) => checkToken(token, `${name}[${index}]`))
}

function checkToken(token: number, name: string): Token {
  return checkNumber(token, name, { min: 0, below: 2 ** 32, isInteger: true })
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0
}

function isMessage(message: unknown): boolean {
  return (
    typeof message === 'object' &&
    message !== null &&
    typeof (message as { role?: unknown }).role === 'string' &&
    typeof (message as { content?: unknown }).content === 'string'
  )
}
