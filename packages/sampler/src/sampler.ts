import {
  type ChoiceRule,
  checkNumber,
  checkOptionKeys,
  createNoiseField,
  log,
  type NoiseField,
  randomSeed,
  type Token,
  type TokenLogProbs,
} from '@hass-engine/core'
import type { LogitsProcessor } from './processor.js'
import { checkTemperature, createProcessors, type ProcessorOptions, processorOptionKeys } from './processors.js'
import { argMax, gumbelArgMax, loadRow, logSumExp, processing, softmax } from './row.js'
import { createSelector } from './selection.js'

export interface SamplerOptions extends ProcessorOptions {
  /** 64-bit key of the noise field: same seed, same text. Defaults to a fresh one, reported in `Sampler.rule`. */
  readonly seed?: number | bigint
}

/** How the tokens of one request are chosen; knows nothing of trees, batches or drafts, so they cannot matter. */
export interface Sampler {
  /** The choice as data, for device kernels and for draft models that couple their candidates with it. */
  readonly rule: ChoiceRule
  readonly noise: NoiseField
  readonly processors: readonly LogitsProcessor[]
  /** True if `rule.temperature` and `rule.seed` say it all, so that a device can choose without handing out the row. */
  readonly isPlain: boolean
  /**
   * The token at position `history.length + path.length`: the arg max of the processed logits, at temperatures above 0
   * with the position's Gumbel noise added; of equals the lowest id.
   *
   * @param row `[vocabSize] float32`, the model's logits
   */
  choose(row: Float32Array, history: ArrayLike<Token>, path?: readonly Token[]): Token
  /** `[vocabSize] float64`, the distribution of that choice; one token has it all at temperature 0. */
  probs(row: Float32Array, history: ArrayLike<Token>, path?: readonly Token[]): Float64Array
  /** Log-probabilities of a token before and after the processors, and of the `top` most probable ones before. */
  logProbs(row: Float32Array, history: ArrayLike<Token>, path: readonly Token[], query: LogProbQuery): TokenLogProbs
}

export interface LogProbQuery {
  readonly token: Token
  /** Alternatives wanted. Defaults to 0. */
  readonly top?: number
}

const samplerOptionKeys = [...processorOptionKeys, 'seed']

/**
 * Creates the sampler of one request.
 *
 * Its methods throw `HASS_ERR_BAD_LOGITS` for rows that hold NaN and `HASS_ERR_NO_TOKEN_LEFT` where nothing can be
 * chosen.
 *
 * @throws InvalidArgumentError `HASS_ERR_INVALID_ARGUMENT` as `createProcessors` does, or for a bad seed
 */
export function createSampler(options: SamplerOptions = {}): Sampler {
  checkOptionKeys(options, samplerOptionKeys, 'createSampler')
  const { seed = randomSeed(), ...processorOptions } = options
  const processors = createProcessors(processorOptions)
  const noise = createNoiseField(seed)
  const temperature = checkTemperature(options.temperature)
  const { topK, topP, minP } = options

  let scratch = new Float64Array(0)

  const process = (target: Float64Array, row: Float32Array, history: ArrayLike<Token>, path: readonly Token[]) => {
    const logits = loadRow(target, row)
    const context = { history, path, position: history.length + path.length }
    for (const processor of processors) processor.process(logits, context)
    return logits
  }
  const probs = (row: Float32Array, history: ArrayLike<Token>, path: readonly Token[] = []) => {
    const logits = process(new Float64Array(row.length), row, history, path)
    if (temperature > 0) return softmax(logits)
    const token = argMax(logits, processing)
    return logits.fill(0).fill(1, token, token + 1)
  }
  return {
    rule: {
      temperature,
      seed: noise.seed,
      ...(topK === undefined ? {} : { topK }),
      ...(topP === undefined ? {} : { topP }),
      ...(minP === undefined ? {} : { minP }),
    },
    noise,
    processors,
    isPlain: processors.every(({ name }) => name === 'temperature'),
    choose(row, history, path = []) {
      if (scratch.length !== row.length) scratch = new Float64Array(row.length)
      const logits = process(scratch, row, history, path)
      if (temperature === 0) return argMax(logits, processing)
      return gumbelArgMax(logits, 1, noise, history.length + path.length, processing)
    },
    probs,
    logProbs(row, history, path, { token, top = 0 }) {
      checkNumber(token, 'token', { min: 0, below: row.length, isInteger: true })
      return { ...modelLogProbs(row, token, top), processedLogProb: log(probs(row, history, path)[token]!) }
    },
  }
}

function modelLogProbs(row: Float32Array, token: Token, top: number): TokenLogProbs {
  checkNumber(top, 'top', { min: 0, isInteger: true })
  const logits = loadRow(new Float64Array(row.length), row)
  const total = logSumExp(logits)
  const of = (id: Token) => ({ token: id, logProb: logits[id]! - total })
  const chosen = of(token)
  if (top === 0) return { ...chosen, top: [] }
  createSelector()(logits, logits, top)
  const best: Token[] = []
  for (let id = 0; id < logits.length; id++) if (logits[id]! > -Infinity) best.push(id)
  return { ...chosen, top: best.sort((a, b) => logits[b]! - logits[a]! || a - b).map(of) }
}
