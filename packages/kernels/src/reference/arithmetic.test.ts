import { describe, expect, it } from 'vitest'
import { openDevice } from '../device.js'
import { createGraph } from '../graph/graph.js'
import { Random } from '../testing/random.js'
import { float32, roundToInteger } from './arithmetic.js'

describe('float32 functions', () => {
  const random = new Random(5)

  it('exp stays within an ulp or two over its range', () => {
    for (let i = 0; i < 20_000; i++) {
      const x = Math.fround(-87 + random.next() * 175)
      expect(Math.abs(float32.exp(x) / Math.exp(x) - 1), `exp(${x})`).toBeLessThan(2.5e-7)
    }
    expect([88.4, -88, Number.NaN, 0, -0].map(float32.exp)).toEqual([Infinity, 0, Number.NaN, 1, 1])
  })

  it('log stays within an ulp or two over its range', () => {
    for (let i = 0; i < 20_000; i++) {
      const x = Math.fround(2 ** (-120 + random.next() * 240))
      expect(Math.abs(float32.log(x) - Math.log(x)), `log(${x})`).toBeLessThan(
        1.5e-7 * Math.max(1, Math.abs(Math.log(x))),
      )
    }
    expect([1, Infinity, Number.NaN].map(float32.log)).toEqual([0, Infinity, Number.NaN])
  })

  it('rounds halves to even', () => {
    expect([0.5, 1.5, 2.5, -0.5, -1.5, 126.5, 0.49].map((x) => roundToInteger(x) + 0)).toEqual([0, 2, 2, 0, -2, 126, 0])
  })
})

describe('a float64 reference device', () => {
  it('has digits left for finite differences', async () => {
    const slope = async (precision: 'float32' | 'float64', step: number) => {
      await using device = openDevice({ kind: 'reference', precision })
      const g = createGraph('silu')
      const x = g.input('x', 'F32', [g.dimension('rows', 2), 1])
      g.output('y', g.siluMul(x, x))
      const Floats = precision === 'float64' ? Float64Array : Float32Array
      const { y } = await device.compile(g).run({ inputs: { x: Floats.of(0.7 - step, 0.7 + step) } })
      const [low, high] = y!.readAll() as Float64Array
      return (high! - low!) / (2 * step)
    }
    const sigmoid = 1 / (1 + Math.exp(-0.7))
    const exact = 2 * 0.7 * sigmoid + 0.7 * 0.7 * sigmoid * (1 - sigmoid)
    expect(Math.abs((await slope('float64', 1e-5)) - exact)).toBeLessThan(1e-9)
    expect(Math.abs((await slope('float32', 1e-5)) - exact)).toBeGreaterThan(1e-6)
  })

  it('keeps caches and weights in float64', async () => {
    await using device = openDevice({ kind: 'reference', precision: 'float64' })
    const g = createGraph('cache')
    const rows = g.dimension('rows', 1)
    const cache = g.state('cache', 'F32', [2, 1])
    const slots = g.input('slots', 'U32', [rows])
    g.cacheWrite(cache, g.linear(g.input('x', 'F32', [rows, 1]), g.weight('weight', 'F32', [1, 1])), slots)
    g.output('y', g.gatherRows(cache, slots))
    const bindings = {
      cache: device.allocate({ dtype: 'F32', shape: [2, 1] }),
      weight: await device.upload({ name: 'weight', format: 'F32', shape: [1, 1], data: Float32Array.of(3) }),
    }
    const inputs = { x: Float64Array.of(0.1), slots: Uint32Array.of(1) }
    const { y } = await device.compile(g, { bindings }).run({ inputs })
    expect(y!.readAll()[0]).toBe(0.1 * 3)
  })
})
