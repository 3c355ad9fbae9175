import { type Device, type DeviceTensor, type RopeScaling, ropeTable } from '@hass-engine/kernels'
import type { ModelConfig, OpenedModel, RopeConfig } from '@hass-engine/weights'

/** Uploads the table `[positions, headSize] F32` of a model's rotary embedding. */
export async function uploadRopeTable(
  device: Device,
  { config, tensors }: Pick<OpenedModel, 'config' | 'tensors'>,
  positions: number,
): Promise<DeviceTensor> {
  const { headSize, rope } = config
  const factors = rope.scaling.type === 'factors' ? await tensors.get('rope_factors.weight')!.readFloat32() : undefined
  const data = factors ? tableOfFactors(config, positions, factors) : tableOfScaling(headSize, positions, rope)
  return device.upload({ name: 'rope', format: 'F32', shape: [positions, headSize], data }, { layout: 'plain' })
}

function tableOfScaling(headSize: number, positions: number, { theta, scaling }: RopeConfig): Float32Array {
  const translated = translateScaling(scaling)
  return ropeTable({ headSize, positions, theta, ...(translated && { scaling: translated }) })
}

function translateScaling(scaling: RopeConfig['scaling']): RopeScaling | undefined {
  switch (scaling.type) {
    case 'linear':
      return scaling
    case 'llama3': {
      const { originalMaxContext, ...others } = scaling
      return { ...others, originalContext: originalMaxContext }
    }
    case 'yarn': {
      const { originalMaxContext, mscaleAllDimensions, ...others } = scaling
      return {
        ...others,
        originalContext: originalMaxContext,
        ...(mscaleAllDimensions !== undefined && { mscaleAllDim: mscaleAllDimensions }),
      }
    }
    default:
      return undefined
  }
}

/** GGUF files bring what each frequency is divided by as a tensor, `[headSize / 2]`. */
function tableOfFactors({ headSize, rope }: ModelConfig, positions: number, factors: Float32Array): Float32Array {
  const half = headSize / 2
  const table = new Float32Array(positions * headSize)
  for (let i = 0; i < half; i++) {
    const frequency = rope.theta ** (-i / half) / factors[i]!
    for (let position = 0; position < positions; position++) {
      table[position * headSize + i] = Math.cos(position * frequency)
      table[position * headSize + half + i] = Math.sin(position * frequency)
    }
  }
  return table
}
