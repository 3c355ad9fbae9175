import type { OpenedModel, TensorSource } from '@hass-engine/weights'

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
  return memoryTensor(name, 'F32', shape, values)
}

/** A tensor `[values]` of 64-bit integers. */
export function integerTensor(name: string, values: readonly number[]): TensorSource {
  return memoryTensor(name, 'I64', [values.length], BigInt64Array.from(values, BigInt))
}

function memoryTensor(
  name: string,
  dtype: 'F32' | 'I64',
  shape: readonly number[],
  values: Float32Array | BigInt64Array,
): TensorSource {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  return {
    name,
    dtype,
    shape,
    file: 'memory',
    offset: 0,
    byteLength: bytes.byteLength,
    isVerbatim: false,
    read: async () => bytes.slice(),
    readInto: async (target) => target.set(bytes),
    readFloat32: async () => Float32Array.from(values, Number),
  }
}
