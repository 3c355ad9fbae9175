import { ropeTable } from '@hass-engine/kernels'
import type { RopeConfig } from '@hass-engine/weights'
import { openModel } from '@hass-engine/weights'
import { describe, expect, it } from 'vitest'
import { goldenPath } from '../../../../test/support/golden.js'
import { alterModel, floatTensor } from '../testing/altered-model.js'
import { useDevice } from '../testing/devices.js'
import { goldenModelOf } from '../testing/golden-names.js'
import { uploadRopeTable } from './rope.js'

const modelName = goldenModelOf('llama')
const positions = 40

describe('uploadRopeTable', () => {
  const device = useDevice('reference')
  const tableOf = async (scaling: RopeConfig['scaling'], factors?: Float32Array) => {
    const opened = await openModel(goldenPath('models', modelName))
    const { headSize } = opened.config
    const tensors = factors ? [floatTensor('rope_factors.weight', [factors.length], factors)] : []
    const model = alterModel(opened, tensors, { rope: { theta: 500, scaling } })
    const tensor = await uploadRopeTable(device(), model, positions)
    return { headSize, table: tensor.read(new Float32Array(positions * headSize)) }
  }

  it.each([
    [{ type: 'default' }, undefined],
    [
      { type: 'linear', factor: 4 },
      { type: 'linear', factor: 4 },
    ],
    [
      { type: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxContext: 32 },
      { type: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 32 },
    ],
    [
      { type: 'yarn', factor: 4, originalMaxContext: 64, betaFast: 32, betaSlow: 1 },
      { type: 'yarn', factor: 4, originalContext: 64, betaFast: 32, betaSlow: 1 },
    ],
    [
      {
        type: 'yarn',
        factor: 4,
        originalMaxContext: 64,
        betaFast: 8,
        betaSlow: 2,
        mscale: 1,
        mscaleAllDimensions: 0.5,
      },
      { type: 'yarn', factor: 4, originalContext: 64, betaFast: 8, betaSlow: 2, mscale: 1, mscaleAllDim: 0.5 },
    ],
  ] as const)('says %j in the words of the kernels', async (scaling, translated) => {
    const { headSize, table } = await tableOf(scaling)
    expect(table).toEqual(ropeTable({ headSize, positions, theta: 500, ...(translated && { scaling: translated }) }))
  })

  it('divides each frequency by its own factor where the file brings factors', async () => {
    const opened = await openModel(goldenPath('models', modelName))
    const half = opened.config.headSize / 2
    const same = await tableOf({ type: 'factors' }, new Float32Array(half).fill(4))
    expect(same.table).toEqual((await tableOf({ type: 'linear', factor: 4 })).table)
    const factors = Float32Array.from({ length: half }, (_, i) => 1 + i)
    const { table, headSize } = await tableOf({ type: 'factors' }, factors)
    const [position, i] = [7, half - 1]
    const angle = (position * 500 ** (-i / half)) / half
    expect(table[position * headSize + i]).toBe(Math.fround(Math.cos(angle)))
    expect(table[position * headSize + half + i]).toBe(Math.fround(Math.sin(angle)))
  })
})
