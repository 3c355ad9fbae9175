import { InvalidArgumentError } from '@hass-engine/core'
import { describe, expect, it } from 'vitest'
import { type RopeScaling, ropeTable, yarnScale } from './rope-table.js'

const headSize = 64
const half = headSize / 2

/** Angles of position 1, read back from cosines and sines. */
function anglesOf(scaling?: RopeScaling): number[] {
  const table = ropeTable({ headSize, positions: 2, ...(scaling && { scaling }) })
  return Array.from({ length: half }, (_, i) => Math.atan2(table[headSize + half + i]!, table[headSize + i]!))
}

describe('ropeTable', () => {
  it('holds cosines, then sines, of falling frequencies', () => {
    const angles = anglesOf()
    for (const [i, angle] of angles.entries()) expect(angle).toBeCloseTo(10000 ** ((-2 * i) / headSize), 6)
    expect([...ropeTable({ headSize: 4, positions: 1 })]).toEqual([1, 1, 0, 0])
  })

  it('divides all frequencies for linear scaling', () => {
    const plain = anglesOf()
    for (const [i, angle] of anglesOf({ type: 'linear', factor: 4 }).entries())
      expect(angle).toBeCloseTo(plain[i]! / 4, 6)
  })

  it.each<RopeScaling>([
    { type: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 512 },
    { type: 'yarn', factor: 8, originalContext: 512, attentionFactor: 1 },
  ])('keeps the fast frequencies, divides the slow ones, and goes over smoothly: $type', (scaling) => {
    const plain = anglesOf()
    const ratios = anglesOf(scaling).map((angle, i) => plain[i]! / angle)
    expect(ratios[0]).toBeCloseTo(1, 4)
    expect(ratios.at(-1)).toBeCloseTo(8, 3)
    for (let i = 1; i < half; i++) expect(ratios[i]! - ratios[i - 1]!).toBeGreaterThan(-1e-3)
    expect(ratios.filter((ratio) => ratio > 1.01 && ratio < 7.9).length).toBeGreaterThan(2)
  })

  it("multiplies yarn's factor into cosines and sines", () => {
    const yarn = { type: 'yarn', factor: 4, originalContext: 512 } as const
    const at0 = (scaling: RopeScaling) => ropeTable({ headSize, positions: 1, scaling })[0]
    expect(at0(yarn)).toBeCloseTo(0.1 * Math.log(4) + 1, 6)
    expect(at0({ ...yarn, mscale: 1, mscaleAllDim: 1 })).toBe(1)
    expect(at0({ ...yarn, mscale: 2, mscaleAllDim: 1 })).toBeCloseTo(yarnScale(4, 2) / yarnScale(4, 1), 6)
    expect(at0({ ...yarn, attentionFactor: 1.5 })).toBe(1.5)
    expect(yarnScale(0.5, 1)).toBe(1)
  })

  it.each([
    { headSize: 5, positions: 1 },
    { headSize: 4, positions: 2 ** 30 },
    { headSize: 4, positions: 1, theta: Number.NaN },
    { headSize: 4, positions: 1, scaling: { type: 'ntk', factor: 2 } },
    { headSize: 4, positions: 1, scaling: { type: 'linear', factor: 0 } },
    { headSize: 4, positions: 1, scaling: { type: 'yarn', factor: 2, originalContext: 9, beta: 1 } },
    { headSize: 4, positions: 1, base: 10000 },
  ])('refuses %j', (options) => {
    expect(() => ropeTable(options as Parameters<typeof ropeTable>[0])).toThrow(InvalidArgumentError)
  })
})
