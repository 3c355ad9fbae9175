import { createNoiseField } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { deviceKinds, useDevice } from '../testing/devices.js'
import { RidgeRegression } from './ridge.js'

const [inputs, outputs] = [6, 3]

/** Rows of noise, and what a known matrix makes of them. */
function rowsOf(count: number, weights: Float32Array, seed = 1) {
  const noise = createNoiseField(seed)
  const x = Float32Array.from({ length: count * inputs }, (_, i) => noise.uniform(0, i) - 0.5)
  const y = new Float32Array(count * outputs)
  for (let row = 0; row < count; row++) {
    for (let o = 0; o < outputs; o++) {
      for (let i = 0; i < inputs; i++) y[row * outputs + o]! += weights[o * inputs + i]! * x[row * inputs + i]!
    }
  }
  return { x, y }
}

const weights = Float32Array.from({ length: inputs * outputs }, (_, i) => ((i * 7) % 11) - 5)

describe.each(deviceKinds)('RidgeRegression on %s', (kind) => {
  const device = useDevice(kind)

  it('finds the matrix again, from rows in any portions', async () => {
    const { x, y } = rowsOf(1500, weights)
    const regression = new RidgeRegression(device(), inputs, outputs)
    for (const [from, to] of [
      [0, 1],
      [1, 200],
      [200, 1500],
    ] as const) {
      await regression.add(x.subarray(from * inputs, to * inputs), y.subarray(from * outputs, to * outputs))
    }
    expect(regression.rows).toBe(1500)
    const found = regression.solve(1e-9)
    for (const [i, weight] of weights.entries()) expect(found[i]).toBeCloseTo(weight, 3)
    regression.dispose()
  })

  it('satisfies the normal equations of the penalty', async () => {
    const { x, y } = rowsOf(40, weights)
    const regression = new RidgeRegression(device(), inputs, outputs)
    await regression.add(x, y)
    const penalty = 0.3
    const found = regression.solve(penalty)
    const square = x.reduce((sum, value) => sum + value * value, 0) / inputs
    // The gradient Σ (W x − y) xᵀ + λ W vanishes.
    for (let o = 0; o < outputs; o++) {
      for (let i = 0; i < inputs; i++) {
        let gradient = penalty * square * found[o * inputs + i]!
        for (let row = 0; row < 40; row++) {
          let residual = -y[row * outputs + o]!
          for (let k = 0; k < inputs; k++) residual += found[o * inputs + k]! * x[row * inputs + k]!
          gradient += residual * x[row * inputs + i]!
        }
        expect(Math.abs(gradient)).toBeLessThan(1e-3)
      }
    }
    regression.dispose()
  })

  it('refuses rows that do not fit, and equations without a solution', async () => {
    const regression = new RidgeRegression(device(), inputs, outputs)
    await expect(regression.add(new Float32Array(7), new Float32Array(3))).rejects.toThrow(/are no rows/)
    await regression.add(new Float32Array(6).fill(Number.NaN), new Float32Array(3))
    expect(() => regression.solve(0.1)).toThrow(/not positive definite/)
    regression.dispose()
  })
})
