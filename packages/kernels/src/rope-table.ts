import { checkNumber, checkOptionKeys, InvalidArgumentError } from '@hass-engine/core'

/** Positions divided by `factor`. */
export interface LinearRopeScaling {
  readonly type: 'linear'
  readonly factor: number
}

/** Llama 3.1: long wavelengths divided by `factor`, short ones kept, a ramp between them. */
export interface Llama3RopeScaling {
  readonly type: 'llama3'
  readonly factor: number
  readonly lowFrequencyFactor: number
  readonly highFrequencyFactor: number
  /** Context length of the training before the scaling. */
  readonly originalContext: number
}

/** YaRN, arXiv 2309.00071: a ramp over the frequencies' numbers, and a factor on cos and sin. */
export interface YarnRopeScaling {
  readonly type: 'yarn'
  readonly factor: number
  readonly originalContext: number
  /** Rotations within the original context above which a frequency is kept. Defaults to 32. */
  readonly betaFast?: number
  /** Rotations below which a frequency is divided by `factor`. Defaults to 1. */
  readonly betaSlow?: number
  /** Factor of cos and sin. Defaults to what `mscale` and `mscaleAllDim` give, and without them 0.1 ln(factor) + 1. */
  readonly attentionFactor?: number
  /** DeepSeek's two scales: the factor is their ratio. Both or none. */
  readonly mscale?: number
  readonly mscaleAllDim?: number
  /** Round the ramp's ends to whole frequencies. Defaults to true. */
  readonly truncate?: boolean
}

export type RopeScaling = LinearRopeScaling | Llama3RopeScaling | YarnRopeScaling

export interface RopeTableOptions {
  /** Even. */
  readonly headSize: number
  /** Rows of the table: the longest context. */
  readonly positions: number
  /** Base of the frequencies. Defaults to 10000. */
  readonly theta?: number
  /** Absent means none. */
  readonly scaling?: RopeScaling
}

/**
 * The table that `rope` reads: `[positions, headSize] float32`, in each row the cosines of headSize / 2 frequencies,
 * then their sines; computed in float64 and rounded once.
 *
 * @throws InvalidArgumentError for an unknown option, an odd head size, a scaling that is not known
 */
export function ropeTable(options: RopeTableOptions): Float32Array {
  checkOptionKeys(options, ['headSize', 'positions', 'theta', 'scaling'], 'ropeTable')
  const { headSize, scaling } = options
  checkNumber(headSize / 2, 'half of headSize', { min: 1, isInteger: true })
  const positions = checkNumber(options.positions, 'positions', { min: 0, isInteger: true })
  checkNumber(positions * headSize, 'positions * headSize', { below: 2 ** 31 })
  const { theta = 10000 } = options
  checkNumber(theta, 'theta', { above: 1 })
  const { frequencies, amplitude } = ropeFrequencies(headSize, theta, scaling)
  const half = headSize / 2
  const table = new Float32Array(positions * headSize)
  for (let position = 0, at = 0; position < positions; position++, at += headSize) {
    for (let i = 0; i < half; i++) {
      const angle = position * frequencies[i]!
      table[at + i] = Math.cos(angle) * amplitude
      table[at + half + i] = Math.sin(angle) * amplitude
    }
  }
  return table
}

/** Angles per position of the headSize / 2 pairs, and the factor of cos and sin. */
function ropeFrequencies(
  headSize: number,
  theta: number,
  scaling: RopeScaling | undefined,
): { frequencies: Float64Array; amplitude: number } {
  const frequencies = Float64Array.from({ length: headSize / 2 }, (_, i) => theta ** ((-2 * i) / headSize))
  if (!scaling) return { frequencies, amplitude: 1 }
  const factor = checkNumber(scaling.factor, 'rope scaling factor', { above: 0 })
  switch (scaling.type) {
    case 'linear':
      return { frequencies: frequencies.map((frequency) => frequency / factor), amplitude: 1 }
    case 'llama3':
      return { frequencies: frequencies.map((frequency) => scaleLlama3(frequency, scaling)), amplitude: 1 }
    case 'yarn':
      return {
        frequencies: scaleYarn(frequencies, headSize, theta, scaling),
        amplitude: yarnAmplitude(scaling),
      }
    default:
      throw new InvalidArgumentError(
        `rope scaling has the type ${JSON.stringify((scaling as { type: unknown }).type)}, expected "linear", "llama3" or "yarn".`,
        { scaling },
      )
  }
}

function scaleLlama3(frequency: number, scaling: Llama3RopeScaling): number {
  checkOptionKeys(
    scaling,
    ['type', 'factor', 'lowFrequencyFactor', 'highFrequencyFactor', 'originalContext'],
    'llama3 rope scaling',
  )
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalContext } = scaling
  const rotations = (originalContext * frequency) / (2 * Math.PI)
  if (rotations < low) return frequency / factor
  if (rotations > high) return frequency
  const smooth = (rotations - low) / (high - low)
  return ((1 - smooth) * frequency) / factor + smooth * frequency
}

const yarnKeys = [
  'type',
  'factor',
  'originalContext',
  'betaFast',
  'betaSlow',
  'attentionFactor',
  'mscale',
  'mscaleAllDim',
  'truncate',
]

function scaleYarn(frequencies: Float64Array, headSize: number, theta: number, scaling: YarnRopeScaling): Float64Array {
  checkOptionKeys(scaling, yarnKeys, 'yarn rope scaling')
  const { factor, originalContext, betaFast = 32, betaSlow = 1, truncate = true } = scaling
  // The number (not rounded) of the frequency that turns so often within the original context.
  const indexOf = (rotations: number) =>
    (headSize * Math.log(originalContext / (rotations * 2 * Math.PI))) / (2 * Math.log(theta))
  const [first, last] = [indexOf(betaFast), indexOf(betaSlow)]
  const low = Math.max(truncate ? Math.floor(first) : first, 0)
  const high = Math.min(truncate ? Math.ceil(last) : last, headSize - 1)
  const width = high === low ? 0.001 : high - low
  return frequencies.map((frequency, i) => {
    const ramp = Math.min(Math.max((i - low) / width, 0), 1)
    return (frequency / factor) * ramp + frequency * (1 - ramp)
  })
}

function yarnAmplitude(scaling: YarnRopeScaling): number {
  const { factor, attentionFactor, mscale, mscaleAllDim } = scaling
  if (attentionFactor !== undefined) return attentionFactor
  return mscale && mscaleAllDim ? yarnScale(factor, mscale) / yarnScale(factor, mscaleAllDim) : yarnScale(factor, 1)
}

/** `0.1 mscale ln(factor) + 1`: also what DeepSeek multiplies, squared, into the attention's scale. */
export function yarnScale(factor: number, mscale: number): number {
  return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1
}
