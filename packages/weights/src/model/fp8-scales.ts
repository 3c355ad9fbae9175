import { shown, WeightsError } from '../errors.js'
import { describeTensor, type TensorSource } from '../tensor-source.js'

const suffix = '_scale_inv'

/**
 * Joins FP8 weights with their block scales: `X.weight_scale_inv` becomes the quantization of `X.weight`, and is no
 * tensor of its own any more.
 *
 * @param blockShape rows and columns that share a scale. Defaults to 128 × 128, as DeepSeek-V3 is published
 * @throws WeightsError `HASS_ERR_QUANTIZATION` if scales are missing, left over or of the wrong shape
 */
export function attachFp8Scales(
  tensors: ReadonlyMap<string, TensorSource>,
  blockShape: readonly [rows: number, columns: number] = [128, 128],
): Map<string, TensorSource> {
  const attached = new Map<string, TensorSource>()
  for (const [name, tensor] of tensors) {
    if (name.endsWith(suffix)) checkOwner(name, tensors)
    else
      attached.set(name, tensor.dtype === 'F8_E4M3' ? attach(tensor, tensors.get(name + suffix), blockShape) : tensor)
  }
  return attached
}

function attach(
  tensor: TensorSource,
  scales: TensorSource | undefined,
  blockShape: readonly [number, number],
): TensorSource {
  const expected = tensor.shape.map((size, dimension) => Math.ceil(size / (blockShape[dimension] ?? 1)))
  const fits =
    tensor.shape.length === 2 && scales?.shape.length === 2 && scales.shape.every((size, i) => size === expected[i])
  if (!fits || !['F32', 'BF16', 'F16'].includes(scales.dtype)) {
    throw new WeightsError(
      'HASS_ERR_QUANTIZATION',
      `FP8 tensor ${shown(tensor.name)} [${tensor.shape}] has ${
        scales ? `scales [${scales.shape}] ${scales.dtype}` : 'no scales'
      }, expected ${shown(tensor.name + suffix)} [${expected}] F32 for blocks of ${blockShape.join(' × ')}.`,
      { name: tensor.name, shape: tensor.shape, scales: scales?.shape, expected, blockShape },
    )
  }
  return describeTensor(tensor, { quantization: { format: 'fp8-blocks', blockShape, scales } })
}

function checkOwner(name: string, tensors: ReadonlyMap<string, TensorSource>): void {
  const owner = name.slice(0, -suffix.length)
  if (tensors.get(owner)?.dtype === 'F8_E4M3') return
  throw new WeightsError(
    'HASS_ERR_QUANTIZATION',
    `${shown(name)} scales ${shown(owner)}, which is no FP8 tensor here.`,
    {
      name,
      owner,
    },
  )
}
