import { type Arithmetic, createScratch, roundToInteger } from './arithmetic.js'
import { floatsOf, type HostTensor } from './host-tensor.js'
import { blockSize, widenCodes, widenRow } from './widen.js'

/** `y = x weightᵀ + bias`, `y` `[rows, out]` float32; see native/NUMERICS.md, "Quantized linear". */
export interface LinearCall {
  readonly x: HostTensor
  readonly weight: HostTensor
  readonly bias: HostTensor | undefined
  /** 0 for float32 activations, 16 or 32 for int8. */
  readonly activationBlock: number
  readonly y: Float32Array
  readonly arithmetic: Arithmetic
}

/** Activations of all rows as int8, their scales, and scale times sum for each block of 32. */
interface QuantizedRows {
  readonly quants: Int8Array
  readonly scales: Float32Array
  readonly weightedSums: Float32Array
}

const smallest = 2 ** -100

export function runLinear(call: LinearCall): void {
  const { weight, bias, y, arithmetic } = call
  const out = weight.shape[0]!
  if (call.activationBlock > 0) sumQuantized(call)
  else sumFloats(call)
  if (bias) {
    const terms = floatsOf(bias)
    for (let i = 0; i < y.length; i++) y[i] = arithmetic.round(y[i]! + terms[i % out]!)
  }
}

/**
 * Inputs ascending, one accumulator a row: the order does not depend on the rows. Of F8, whose scales
 * come after the sum, one for each block.
 */
function sumFloats({ x, weight, y, arithmetic }: LinearCall): void {
  const { round } = arithmetic
  const [out, columns] = weight.shape as [number, number]
  const rows = x.shape[0]!
  const activations = floatsOf(x)
  const weights = createScratch(arithmetic, columns)
  const codes = weight.dtype === 'F8' ? weight.packed! : undefined
  const width = codes?.blockColumns ?? columns
  for (let o = 0; o < out; o++) {
    if (codes) widenCodes(codes, o * columns, weights, 0, columns)
    else widenRow(weight, o, weights, 0, arithmetic)
    for (let row = 0; row < rows; row++) {
      let total = 0
      const base = row * columns
      for (let from = 0; from < columns; from += width) {
        let sum = 0
        for (let i = from; i < from + width; i++) sum = round(sum + round(activations[base + i]! * weights[i]!))
        total = codes ? round(total + round(codes.scales[(o * columns + from) / width]! * sum)) : sum
      }
      y[row * out + o] = total
    }
  }
}

/** Cuts each row of `[rows, columns]` floats into blocks of int8 with one scale each. */
function quantizeRows(x: HostTensor, block: number, { round }: Arithmetic): QuantizedRows {
  const [rows, columns] = x.shape as [number, number]
  const values = floatsOf(x)
  const quants = new Int8Array(rows * columns)
  const scales = new Float32Array((rows * columns) / block)
  const weightedSums = new Float32Array((rows * columns) / blockSize)
  for (let b = 0; b < scales.length; b++) {
    const start = b * block
    let largest = 0
    let isWhole = true
    for (let i = start; i < start + block; i++) {
      const magnitude = Math.abs(values[i]!)
      // NaN and infinity fail this comparison.
      if (!(magnitude < Infinity)) isWhole = false
      if (magnitude > largest) largest = magnitude
    }
    let sum = 0
    if (!isWhole) scales[b] = Number.NaN
    else if (largest >= smallest) {
      scales[b] = largest / 127
      const inverse = round(127 / largest)
      for (let i = start; i < start + block; i++) {
        quants[i] = roundToInteger(round(values[i]! * inverse))
        sum += quants[i]!
      }
    }
    const group = Math.floor(start / blockSize)
    weightedSums[group] = start % blockSize === 0 ? scales[b]! * sum : weightedSums[group]! + round(scales[b]! * sum)
  }
  return { quants, scales, weightedSums }
}

function sumQuantized({ x, weight, activationBlock: block, y, arithmetic }: LinearCall): void {
  const { round } = arithmetic
  const [out, columns] = weight.shape as [number, number]
  const rows = x.shape[0]!
  const { quants: activations, scales: activationScales, weightedSums } = quantizeRows(x, block, arithmetic)
  const { quants, scales, minimums } = weight.packed!
  const isAffine = weight.dtype !== 'Q8'
  const blocks = columns / blockSize
  const halves = blockSize / block
  for (let o = 0; o < out; o++) {
    for (let row = 0; row < rows; row++) {
      let sum = 0
      for (let b = 0; b < blocks; b++) {
        const scale = scales[o * blocks + b]!
        for (let half = 0; half < halves; half++) {
          const atWeight = o * columns + b * blockSize + half * block
          const atRow = row * columns + b * blockSize + half * block
          let dot = 0
          for (let i = 0; i < block; i++) dot += quants[atWeight + i]! * activations[atRow + i]!
          const factor = round(scale * activationScales[(row * blocks + b) * halves + half]!)
          sum = round(sum + round(factor * dot))
        }
        if (isAffine) sum = round(sum + round(minimums[o * blocks + b]! * weightedSums[row * blocks + b]!))
      }
      y[row * out + o] = sum
    }
  }
}
