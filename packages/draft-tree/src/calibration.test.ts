import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Calibration, makeMonotone } from './calibration.js'

const grid = Array.from({ length: 101 }, (_, i) => i / 100)

/** Feeds outcomes in which a candidate of draft probability p is right in truth(p) of the cases. */
function feed(calibration: Calibration, truth: (prob: number) => number, depth: number, cycles: number): void {
  for (let cycle = 0; cycle < cycles; cycle++) {
    for (const prob of [0.05, 0.25, 0.45, 0.65, 0.85]) {
      // Evenly spread, so that there is no luck in it.
      const share = truth(prob)
      calibration.record(prob, depth, Math.floor((cycle + 1) * share) > Math.floor(cycle * share))
    }
    calibration.endCycle()
  }
}

describe('Calibration', () => {
  it('believes the draft before it has seen anything', () => {
    const calibration = new Calibration()
    for (const prob of grid) expect(calibration.apply(prob, 1)).toBeCloseTo(prob, 12)
  })

  it('leaves a draft that is right as it is', () => {
    const calibration = new Calibration()
    feed(calibration, (prob) => prob, 1, 400)
    for (const prob of grid) expect(Math.abs(calibration.apply(prob, 1) - prob)).toBeLessThan(0.03)
  })

  it('finds how far a draft is wrong, by depth', () => {
    const calibration = new Calibration()
    feed(calibration, (prob) => prob / 2, 1, 400)
    feed(calibration, (prob) => prob / 4, 3, 400)
    expect(calibration.apply(0.65, 1)).toBeCloseTo(0.325, 1)
    expect(calibration.apply(0.65, 3)).toBeCloseTo(0.1625, 1)
    // A depth that was never seen takes what all depths say together.
    expect(calibration.apply(0.65, 2)).toBeLessThan(0.4)
    expect(calibration.apply(0.65, 2)).toBeGreaterThan(0.15)
  })

  it('forgets', () => {
    const calibration = new Calibration({ memory: 50 })
    feed(calibration, () => 0, 1, 200)
    expect(calibration.apply(0.85, 1)).toBeLessThan(0.25)
    for (let cycle = 0; cycle < 500; cycle++) calibration.endCycle()
    expect(calibration.apply(0.85, 1)).toBeCloseTo(0.85, 2)
  })

  it('is monotone and a probability whatever it is fed', () => {
    const number = fc.oneof(
      fc.double(),
      fc.constantFrom(Number.NaN, Infinity, -Infinity),
      fc.double({ min: 0, max: 1 }),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(number, fc.nat(12), fc.boolean()), { maxLength: 200 }), (records) => {
        const calibration = new Calibration({ priorCount: 0.1 })
        for (const [prob, depth, isChosen] of records) calibration.record(prob, depth, isChosen)
        for (const depth of [0, 1, 8, 40]) {
          const values = [Number.NaN, -1, ...grid, Infinity].map((prob) => calibration.apply(prob, depth))
          for (const [i, value] of values.entries()) {
            expect(value).toBeGreaterThanOrEqual(i === 0 ? 0 : values[i - 1]! - 1e-12)
            expect(value).toBeLessThanOrEqual(1)
          }
        }
      }),
    )
  })

  it.each([{ priorCount: 0 }, { memory: 0 }, { memory: Number.NaN }, { prior: 1 }])('refuses %o', (options) => {
    expect(() => new Calibration(options)).toThrow()
  })
})

describe('makeMonotone', () => {
  it('pools violators to their weighted mean', () => {
    const values = Float64Array.of(0.1, 0.5, 0.2, 0.9)
    makeMonotone(values, [1, 1, 3, 1])
    expect([...values]).toEqual([0.1, (0.5 + 0.6) / 4, (0.5 + 0.6) / 4, 0.9])
  })
})
