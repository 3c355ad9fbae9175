import { createMemoryTensor, type OpenedModel, type TensorSource } from '@hass-engine/weights'

/** A model with some tensors replaced or added, and fields of its configuration changed. */
export function alterModel(
  model: OpenedModel,
  tensors: readonly TensorSource[],
  config: Partial<OpenedModel['config']> = {},
): OpenedModel {
  const altered = new Map(model.tensors)
  for (const tensor of tensors) altered.set(tensor.name, tensor)
  return { ...model, config: { ...model.config, ...config }, tensors: altered }
}

export function floatTensor(name: string, shape: readonly number[], values: Float32Array): TensorSource {
  return createMemoryTensor({ name, dtype: 'F32', shape, data: values })
}

/** A tensor `[values]` of 64-bit integers. */
export function integerTensor(name: string, values: readonly number[]): TensorSource {
  return createMemoryTensor({ name, dtype: 'I64', shape: [values.length], data: BigInt64Array.from(values, BigInt) })
}
