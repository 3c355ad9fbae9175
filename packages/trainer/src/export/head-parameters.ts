import { elementCount, InvalidArgumentError } from '@hass-engine/core'
import type { ModelConfig, OpenedModel } from '@hass-engine/weights'
import { headShapes } from '../training-head.js'

/** A head's trained tensors by their published names, `fc.weight`, `layers.0.…`, each row-major float32. */
export type HeadParameters = ReadonlyMap<string, Float32Array>

/**
 * The configuration of a head for a target: one layer of the target's sizes, with the biases that it has parameters for.
 *
 * @param draftVocabSize absent for a head that knows the whole vocabulary
 * @throws InvalidArgumentError for a target whose rotary frequencies a head cannot repeat
 */
export function headConfig(target: ModelConfig, parameters: HeadParameters, draftVocabSize?: number): ModelConfig {
  const { latentAttention, experts, ...config } = target
  if (config.rope.scaling.type === 'factors') {
    throw new InvalidArgumentError(
      'The target stretches each rotary frequency by a factor from its GGUF file, which a head has no place for: open the target from its folder with config.json.',
      { scaling: config.rope.scaling.type },
    )
  }
  return {
    ...config,
    architecture: 'hass-head',
    layers: 1,
    mtpLayers: 0,
    tiesEmbeddings: false,
    hasQueryKeyValueBias: parameters.has('layers.0.self_attn.q_proj.bias'),
    hasOutputBias: parameters.has('layers.0.self_attn.o_proj.bias'),
    hasMlpBias: parameters.has('layers.0.mlp.gate_proj.bias'),
    hasQueryKeyNorm: false,
    ...(draftVocabSize !== undefined && { draftVocabSize }),
  }
}

/** A head's trained tensors, as its files hold them. */
export async function readHeadParameters({ config, tensors }: OpenedModel): Promise<HeadParameters> {
  const parameters = new Map<string, Float32Array>()
  for (const name of headShapes(config, (one) => tensors.has(one)).keys()) {
    const tensor = tensors.get(name)
    if (tensor) parameters.set(name, await tensor.readFloat32())
  }
  return parameters
}

/**
 * Checks that parameters are those of a head: none missing, left over or of another size.
 *
 * @returns each with its shape
 * @throws InvalidArgumentError
 */
export function shapeHeadParameters(
  config: ModelConfig,
  parameters: HeadParameters,
): Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }> {
  const shapes = headShapes(config, (name) => parameters.has(name))
  const extra = [...parameters.keys()].find((name) => !shapes.has(name))
  if (extra !== undefined) {
    throw new InvalidArgumentError(
      `Parameter ${extra} is none of this head; it has ${[...shapes.keys()].join(', ')}.`,
      { name: extra },
    )
  }
  return new Map(
    [...shapes].map(([name, shape]) => {
      const data = parameters.get(name)
      if (data?.length === elementCount(shape)) return [name, { shape, data }]
      throw new InvalidArgumentError(
        `Parameter ${name} ${data ? `has ${data.length} elements` : 'is missing'}, expected [${shape.join(', ')}] for a head of this target.`,
        { name, found: data?.length, expected: shape },
      )
    }),
  )
}
