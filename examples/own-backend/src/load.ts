import { checkDraftHead, type OpenedModel, openModel } from '@hass-engine/weights'
import type { LayerShape, LayerWeights, Projection } from './decoder-layer.js'
import type { OwnHeadWeights } from './own-draft.js'
import type { OwnTargetWeights } from './own-target.js'

/** Reads a LLaMA or Qwen2 of any size that fits into memory as float32. */
export async function loadTarget(path: string): Promise<{ model: OpenedModel; weights: OwnTargetWeights }> {
  const model = await openModel(path)
  const { config } = model
  const read = reader(model)
  const embedding = (await read('embed_tokens.weight'))!
  const layers: LayerWeights[] = []
  for (let index = 0; index < config.layers; index++) layers.push(await readLayer(model, index))
  const weights = {
    shape: shapeOf(model),
    vocabSize: config.vocabSize,
    hiddenSize: config.hiddenSize,
    maxContext: config.maxContext,
    embedding,
    layers,
    norm: (await read('norm.weight'))!,
    lmHead: (await read('lm_head.weight')) ?? embedding,
  }
  return { model, weights }
}

/** Reads a HASS head and refuses one that does not fit the target. */
export async function loadHead(path: string, target: OpenedModel): Promise<OwnHeadWeights> {
  const model = await openModel(path)
  await checkDraftHead(model, target)
  const embedding = await reader(model)('embed_tokens.weight')
  return {
    shape: shapeOf(model),
    ...(embedding && { embedding }),
    fc: await readProjection(model, 'fc'),
    layer: await readLayer(model, 0),
  }
}

function shapeOf({ config }: OpenedModel): LayerShape {
  const { heads, kvHeads, headSize, rope, normEpsilon } = config
  return { heads, kvHeads, headSize, ropeTheta: rope.theta, epsilon: normEpsilon }
}

function reader(model: OpenedModel) {
  return async (name: string) => model.tensors.get(name)?.readFloat32()
}

async function readProjection(model: OpenedModel, name: string): Promise<Projection> {
  const read = reader(model)
  const bias = await read(`${name}.bias`)
  return { weight: (await read(`${name}.weight`))!, ...(bias && { bias }) }
}

async function readLayer(model: OpenedModel, index: number): Promise<LayerWeights> {
  const prefix = `layers.${index}`
  const read = reader(model)
  const inputNorm = await read(`${prefix}.input_layernorm.weight`)
  return {
    ...(inputNorm && { inputNorm }),
    query: await readProjection(model, `${prefix}.self_attn.q_proj`),
    key: await readProjection(model, `${prefix}.self_attn.k_proj`),
    value: await readProjection(model, `${prefix}.self_attn.v_proj`),
    output: await readProjection(model, `${prefix}.self_attn.o_proj`),
    postAttentionNorm: (await read(`${prefix}.post_attention_layernorm.weight`))!,
    gate: await readProjection(model, `${prefix}.mlp.gate_proj`),
    up: await readProjection(model, `${prefix}.mlp.up_proj`),
    down: await readProjection(model, `${prefix}.mlp.down_proj`),
  }
}
