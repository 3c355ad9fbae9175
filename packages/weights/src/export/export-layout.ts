import type { ModelConfig } from '../config/model-config.js'
import { WeightsError } from '../errors.js'
import type { JsonObject } from '../formats/strict-json.js'
import type { TensorSource } from '../tensor-source.js'

/** What loads the exported folder. */
export const exportLayouts = ['sglang', 'vllm', 'eagle', 'nextn'] as const
export type ExportLayout = (typeof exportLayouts)[number]

/** A head on its way into a layout. */
export interface HeadToExport {
  readonly config: ModelConfig
  /** By canonical name. */
  readonly tensors: ReadonlyMap<string, TensorSource>
  /** `config.json` as it is. */
  readonly json: JsonObject
}

/** What becomes of it. */
export interface LaidOutHead {
  /** Fields of `config.json` that are set; the others stay. */
  readonly config: Readonly<Record<string, unknown>>
  /** By their names in the file. */
  readonly tensors: ReadonlyMap<string, TensorSource>
  /** `fc.bias`, `[hiddenSize]` zeros in the dtype of `fc.weight`, is added. */
  readonly addsZeroBias: boolean
  /** The tensors' file; safetensors with an index beside it if it is not the usual name. */
  readonly file: string
  /** What whoever launches a server should know. */
  readonly notes: readonly string[]
}

/** @throws WeightsError `HASS_ERR_EXPORT` if the layout cannot hold the head */
export function layOut(head: HeadToExport, layout: ExportLayout): LaidOutHead {
  const isNextN = head.config.architecture === 'deepseek-v3' || head.config.architecture === 'deepseek-v3-nextn'
  if (layout === 'nextn') return layOutNextN(head)
  if (head.config.architecture !== 'hass-head') {
    throw cannot(
      `a ${head.config.architecture} model is no HASS or EAGLE head${isNextN ? ': export it as nextn' : ''}`,
      layout,
    )
  }
  return layOutHead(head, layout)
}

/** HASS and EAGLE heads: names as published, without `model.`; the servers take `lm_head` from the target. */
function layOutHead(head: HeadToExport, layout: Exclude<ExportLayout, 'nextn'>): LaidOutHead {
  const { config, tensors } = head
  const bias = tensors.get('fc.bias')
  const kept = new Map(tensors)
  const notes: string[] = []
  if (layout !== 'eagle') {
    for (const name of ['lm_head.weight', 'd2t', 't2d']) kept.delete(name)
  }
  if (layout === 'vllm' && bias) kept.delete('fc.bias')
  if (layout === 'vllm') notes.push('vLLM drafts chains: of a tree’s settings it takes the depth alone.')
  if (config.draftVocabSize !== undefined && layout === 'vllm') {
    notes.push('vLLM drafts with the target’s whole vocabulary: the reduced one of this head is left out.')
  }
  if (config.hasMlpBias || config.hasOutputBias) {
    throw cannot('its output projection or MLP has biases, which no server’s EAGLE class loads', layout)
  }
  return {
    config: { ...headFields(config, layout, bias !== undefined), num_hidden_layers: config.layers },
    tensors: kept,
    addsZeroBias: layout === 'sglang' && !bias,
    file: 'model.safetensors',
    notes,
  }
}

/**
 * Class names and flags. "bias" is fc's flag to the reference implementation, and one of the attention to SGLang and
 * vLLM (models/llama.py, `attention_bias or bias`): there it must be gone, or they wait for biases that never come.
 */
function headFields(config: ModelConfig, layout: 'sglang' | 'vllm' | 'eagle', hasFcBias: boolean) {
  const { hasQueryKeyValueBias } = config
  if (layout === 'eagle') return { bias: hasFcBias }
  const flags = { bias: undefined, attention_bias: false }
  // SGLang's llama_eagle.py has one flag for all four projections; qwen2_eagle.py has biases of q, k and v.
  if (layout === 'sglang') {
    return hasQueryKeyValueBias
      ? { ...flags, qkv_bias: undefined, architectures: ['Qwen2ForCausalLMEagle'], model_type: 'qwen2' }
      : { ...flags, qkv_bias: undefined, architectures: ['LlamaForCausalLMEagle'], model_type: 'llama' }
  }
  return {
    ...flags,
    qkv_bias: hasQueryKeyValueBias ? true : undefined,
    architectures: ['EagleLlamaForCausalLM'],
    model_type: 'llama',
  }
}

/** DeepSeek's MTP layer on its own, as SGLang's scripts/export_deepseek_nextn.py writes it. */
function layOutNextN({ config, tensors }: HeadToExport): LaidOutHead {
  const { architecture, mtpLayers } = config
  if (architecture !== 'deepseek-v3' && architecture !== 'deepseek-v3-nextn') {
    throw cannot(`a ${architecture} model has no MTP layer`, 'nextn')
  }
  if (mtpLayers !== 1) throw cannot(`it has ${mtpLayers} MTP layers, expected one`, 'nextn')
  const renamed = new Map<string, TensorSource>()
  for (const [name, tensor] of tensors) {
    const rest = /^mtp\.0\.(.+)$/.exec(name)?.[1]
    // Both are the target's.
    if (rest === undefined || /^(embed_tokens|shared_head\.head)\./.test(rest)) continue
    renamed.set(`model.layers.0.${rest}`, tensor)
  }
  return {
    config: { architectures: ['DeepseekV3ForCausalLMNextN'], num_hidden_layers: 1, num_nextn_predict_layers: 1 },
    tensors: renamed,
    addsZeroBias: false,
    file: 'nextn_layer_parameters.safetensors',
    notes: ['Embedding and output are the target’s; launch with --speculative-algorithm EAGLE (or NEXTN).'],
  }
}

export function cannot(why: string, layout: ExportLayout): WeightsError {
  return new WeightsError('HASS_ERR_EXPORT', `The head cannot be exported as ${layout}: ${why}.`, { layout })
}
